use proptest::prelude::*;

use super::*;

/// The transcript as the index has it.
const TEXT: &str = "\n good morning you are speaking with zoe how can i help you today \n i was charged 15 euros twice and i am not happy about that \n";

fn found(quote: &str) -> Option<&str> {
    let span = *find(TEXT, &[quote]).get(quote)?;
    Some(&TEXT[span.0..span.1])
}

/// Whether a quote is taken for what was said.
fn is_taken(quote: &str, said: &str) -> bool {
    let (quote, text) = (format!(" {quote} "), format!("\n {said} \n"));
    !find(&text, &[&quote]).is_empty()
}

#[test]
fn misspelled_words_are_found_as_they_were_said() {
    let said = Some(" good morning you are speaking with zoe ");
    assert_eq!(found(" good mornin you are speaking with zoe "), said);
    assert_eq!(found(" good mornin you are speking with zoe "), said);
    assert_eq!(found(" you are speakink with zoe how can i "), Some(" you are speaking with zoe how can i "));
    assert_eq!(found(" i was charrged 15 euros twice and "), Some(" i was charged 15 euros twice and "));
    assert!(is_taken("the acknowlegdement is on its way to you", "the acknowledgement is on its way to you"));
    assert!(is_taken("ihre überweisug ist angekommen", "ihre überweisung ist angekommen"));
}

#[test]
fn other_words_are_not() {
    for foreign in [
        " good evening you are talking with zoe ",
        " good morning you are speaking with zoë ",
        " god morning you are speaking with zoe ",
        " how can i helb you today ",
        " i was charged 16 euros twice and i am ",
        " i was charged 15 euros twice and i am happy about that ",
        " i was charged 15 euros twice and i am now happy about that ",
        " i was changed 15 euros twice and i am ",
        " how can i hlep ",
        " you today i was charged 15 euros ",
        " nothing of this was ever said by anybody at all ",
    ] {
        assert_eq!(found(foreign), None, "{foreign}");
    }
}

/// What one says, and what would turn it round: neither is taken for the other.
const TURNED: [(&str, &str); 45] = [
    ("able", "unable"),
    ("possible", "impossible"),
    ("authorised", "unauthorised"),
    ("legal", "illegal"),
    ("regular", "irregular"),
    ("connected", "disconnected"),
    ("refundable", "nonrefundable"),
    ("understood", "misunderstood"),
    ("activated", "deactivated"),
    ("correct", "incorrect"),
    ("fifty", "fifteen"),
    ("seventy", "seventeen"),
    ("sixteen", "sixteenth"),
    ("twenty", "twelve"),
    ("monday", "sunday"),
    ("tuesday", "thursday"),
    ("montag", "sonntag"),
    ("january", "february"),
    ("november", "december"),
    ("ein problem", "kein problem"),
    ("noch mehr", "nicht mehr"),
    ("with", "without"),
    ("within", "without"),
    ("should", "shouldnt"),
    ("couldnt", "could"),
    ("doesnt", "does"),
    ("refused", "refunded"),
    ("accept", "except"),
    ("include", "exclude"),
    ("increase", "decrease"),
    ("approved", "disapproved"),
    ("insured", "uninsured"),
    ("careful", "careless"),
    ("annehmen", "abnehmen"),
    ("zahlungsfähig", "zahlungsunfähig"),
    ("gültig", "ungültig"),
    ("jemals", "niemals"),
    ("always", "never"),
    ("charged", "changed"),
    ("yesterday", "tomorrow"),
    ("15 euros", "16 euros"),
    ("account 4711", "account 4712"),
    ("dreißig", "dreizehn"),
    ("quarante", "quatorze"),
    ("sesenta", "setenta"),
];

#[test]
fn no_edit_turns_a_statement_round() {
    for (one, other) in TURNED {
        for (quoted, said) in [(one, other), (other, one)] {
            let sentence = |word: &str| format!("so the customer was told that it is {word} with the new contract");
            assert!(!is_taken(&sentence(quoted), &sentence(said)), "{quoted} for {said}");
        }
    }
    assert!(
        is_taken("it is possible with the new contrackt", "it is possible with the new contract"),
        "the sentence itself is fine"
    );
}

#[test]
fn quotes_that_are_too_long_are_found_by_their_very_words_alone() {
    let said = "speaking about the contract ".repeat(11);
    let (said, wrong) = (said.trim(), said.trim().replacen("contract", "contracd", 1));
    assert!(said.len() > MOST_CHARACTERS && !is_taken(&wrong, said));
    let short = &said[..said.len() - 28];
    assert!(is_taken(&short.replacen("contract", "contracd", 1), short));
    let often = short.replace("contract", "contracd");
    assert!(often.matches("contracd").count() > MOST_EDITS && !is_taken(&often, short), "more than {MOST_EDITS} edits");
}

#[test]
fn distances_are_those_of_levenshtein() {
    let chars = |word: &str| word.chars().collect::<Vec<_>>();
    let apart = |one: &str, other: &str| distance(&chars(one), &chars(other));
    assert_eq!((apart("kitten", "sitting"), apart("", "abc"), apart("abc", ""), apart("same", "same")), (3, 3, 3, 0));
}

/// Words around a statement.
fn sentence() -> impl Strategy<Value = Vec<String>> {
    let word = prop::sample::select(vec![
        "contract",
        "payment",
        "i",
        "the",
        "customer",
        "überweisung",
        "transfer",
        "not",
        "is",
        "15",
    ]);
    prop::collection::vec(word.prop_map(str::to_owned), 5..30)
}

proptest! {
    /// Wherever in whatever sentence: a meaning is never turned, whichever of the two was said.
    #[test]
    fn a_turned_meaning_is_never_taken(
        mut words in sentence(), at in any::<prop::sample::Index>(), pair in any::<prop::sample::Index>(), swap in any::<bool>()
    ) {
        let (one, other) = TURNED[pair.index(TURNED.len())];
        let (one, other) = if swap { (other, one) } else { (one, other) };
        let at = at.index(words.len() + 1);
        words.insert(at, one.to_owned());
        let quoted = words.join(" ");
        words[at] = other.to_owned();
        prop_assert!(!is_taken(&quoted, &words.join(" ")), "{}", quoted);
    }

    /// No word is ever added, left out or exchanged.
    #[test]
    fn a_word_more_less_or_other_is_never_taken(mut words in sentence(), at in any::<prop::sample::Index>(), how in 0..3_u8) {
        let said = words.join(" ");
        let at = at.index(words.len());
        match how {
            // At the ends the rest is still what was said.
            0 if at > 0 && at + 1 < words.len() && words[at - 1] != words[at] && words[at + 1] != words[at] => drop(words.remove(at)),
            0 => return Ok(()),
            1 => words.insert(at, "never".to_owned()),
            _ => words[at] = "whatever".to_owned(),
        }
        prop_assert!(!is_taken(&words.join(" "), &said), "{} for {}", words.join(" "), said);
    }
}
