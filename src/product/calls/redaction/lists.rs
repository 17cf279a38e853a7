//! Words that detectors know: everyday words, names, towns. Written for this purpose; no census and no directory went in. Everyday words are also those that
//! service dialogues (those of the accuracy bench) have in lower case more than once.

use std::{collections::HashSet, sync::LazyLock};

type Words = LazyLock<HashSet<&'static str>>;

fn set(text: &'static str) -> HashSet<&'static str> {
    text.split_whitespace().collect()
}

static COMMON: Words = LazyLock::new(|| set(include_str!("common.txt")));
static EVERYDAY: Words = LazyLock::new(|| set(include_str!("everyday.txt")));
static GIVEN: Words = LazyLock::new(|| set(include_str!("given.txt")));
static SURNAMES: Words = LazyLock::new(|| set(include_str!("surnames.txt")));
static PLACES: Words = LazyLock::new(|| set(include_str!("places.txt")));
static AMBIGUOUS: Words = LazyLock::new(|| {
    set(
        "will mark grace rose may june april joy hope faith bill frank jack art gene ray rich rob sue pat drew chance max hunter mason \
         carter taylor dean grant miles chase cash penny ruby pearl crystal amber dawn summer autumn eve robin jean dale glen sky star \
         angel christian norm herb skip rusty sandy randy guy earl duke baker cook king young white black green brown stone wood bush \
         banks rivers field hill lane park bell long short small little day knight page price love power case sharp wise ford lee \
         charity melody harmony iris ivy violet lily daisy holly heather basil sage ginger olive victor carol rod tony",
    )
});
static NOBODY: Words = LazyLock::new(|| {
    set(
        "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august september october november \
         december christmas easter english german french spanish italian american british chinese japanese indian canadian mexican dutch \
         irish european asian african internet wifi google amazon apple microsoft facebook paypal visa mastercard bank hotel airlines airport \
         netflix spotify hulu disney samsung galaxy iphone ipad macbook android nintendo switch sony playstation xbox lg dell lenovo asus canon epson \
         nikon dyson bosch siemens philips toyota corolla camry honda civic nissan hyundai kia tesla bmw audi volkswagen verizon comcast xfinity \
         vodafone sprint dhl ups fedex usps hertz avis uber lyft airbnb marriott hilton hyatt sheraton westin delta united southwest jetblue \
         lufthansa ryanair emirates nike adidas levi levis zara ikea walmart costco starbucks amex citibank barclays hsbc venmo zelle windows linux \
         chrome firefox outlook gmail yahoo hotmail instagram twitter tiktok youtube whatsapp zoom skype premium platinum unlimited ultra \
         support service team sales department center centre customer company inc ltd llc gmbh corporation street avenue road account order",
    )
});
static VENUES: Words = LazyLock::new(|| {
    set(
        "hotel hotels inn suites resort hostel motel airport international terminal station stadium arena street avenue road boulevard restaurant cafe \
         bar grill bistro pizzeria bakery kitchen lounge diner museum gallery park theater theatre cinema salon salons cuts spa clinic hospital center \
         centre mall market plaza square tower towers bridge university college school academy library church bank club valley beach hills creek \
         heights island city county village homes apartments airlines airways foundation stores store shop plan package",
    )
});
static DOMAINS: Words = LazyLock::new(|| {
    set(
        "com net org edu gov info biz io co app dev me shop store uk de fr nl it es at ch be se pl eu ca au us jp in br mx ie no dk fi cz pt mil tv",
    )
});

/// Whether the word is an everyday one, that is no name by itself.
pub(super) fn is_common(word: &str) -> bool {
    word.is_empty() || COMMON.contains(word)
}

/// Whether the word is one that anybody uses, in any of its forms: in a text without capital letters, no name.
pub(super) fn is_everyday(word: &str) -> bool {
    const ENDINGS: &[&str] = &["s", "es", "d", "ed", "ing", "ly", "er", "ers", "y", "ness"];
    let known = |word: &str| COMMON.contains(word) || EVERYDAY.contains(word);
    let stem = |ending: &&str| word.strip_suffix(*ending).filter(|stem| stem.len() >= 3);
    let of_stem = |stem: &str| {
        let (first, last) = stem.split_at(stem.len() - stem.chars().next_back().map_or(0, char::len_utf8));
        known(stem)
            || known(&format!("{stem}e"))
            || last == "i" && known(&format!("{first}y"))
            || first.ends_with(last) && known(first)
    };
    word.is_empty() || known(word) || ENDINGS.iter().filter_map(stem).any(of_stem)
}

/// Whether people are called so.
pub(super) fn is_given(word: &str) -> bool {
    GIVEN.contains(word)
}

/// Whether families are called so.
pub(super) fn is_surname(word: &str) -> bool {
    SURNAMES.contains(word)
}

/// Whether the name is an everyday word as well.
pub(super) fn is_ambiguous(word: &str) -> bool {
    AMBIGUOUS.contains(word)
}

/// Whether a capital letter makes no person of it.
pub(super) fn is_nobody(word: &str) -> bool {
    NOBODY.contains(word)
}

/// Whether it is a word of a large town's or a state's name.
pub(super) fn is_place(word: &str) -> bool {
    PLACES.contains(word)
}

/// Whether what is called so is a building, a business or a place.
pub(super) fn is_venue(word: &str) -> bool {
    VENUES.contains(word)
}

/// Whether it ties the parts of a name.
pub(super) fn is_particle(word: &str) -> bool {
    matches!(
        word,
        "de" | "da"
            | "di"
            | "do"
            | "dos"
            | "del"
            | "della"
            | "la"
            | "le"
            | "van"
            | "von"
            | "der"
            | "den"
            | "ten"
            | "ter"
            | "bin"
            | "al"
            | "el"
            | "du"
            | "des"
            | "st"
    )
}

/// Whether web addresses end so.
pub(super) fn is_domain(word: &str) -> bool {
    DOMAINS.contains(word)
}
