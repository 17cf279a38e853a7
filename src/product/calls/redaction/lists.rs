//! Words that detectors know: everyday words, names, towns. Written for this purpose; no census and no directory went in. Everyday words are also those that
//! service dialogues (those of the accuracy bench) have in lower case more than once.

use std::{collections::HashSet, sync::LazyLock};

type Words = LazyLock<HashSet<&'static str>>;

fn set(text: &'static str) -> HashSet<&'static str> {
    text.split_whitespace().collect()
}

static COMMON: Words = LazyLock::new(|| set(include_str!("common.txt")));
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
         support service team sales department center centre customer company inc ltd llc gmbh corporation street avenue road account order \
         energy power gas electric electricity water hotels hotel inn resort resorts telecom telephones communications broadband networks insurance \
         banking finance financial group holdings partners services solutions systems software health healthcare clinic hospital pharmacy stores supplies \
         foods motors travel tours airways rail logistics airport museum university college school theatre theater restaurant bistro cafe grill",
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
