//! What the words of a quote weigh: what stands in every conversation shows nothing of this one.

use std::{collections::HashSet, sync::LazyLock};

use crate::product::calls::redaction::PersonalData;

/// Words of a quote that is not a whole utterance, at least.
pub const LEAST_WORDS: usize = 3;

/// Words that carry a sentence and say nothing by themselves: English, German, French, Spanish. Denials are not here.
static FUNCTION_WORDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| WORDS.split_whitespace().collect());
const WORDS: &str = "
    a an the this that these those it its i im id ive ill you youre youd youll your yours he she we were they them their our ours us me my mine him his her
    hers who whom what which when where how why is isnt am are was be been being do does did done have has had having can could will would shall should may
    might must let lets go going get got want wanted wants need to of in on at by for from with into about as and or but so if then than too also just well
    there here oh uh um ah okay ok yeah some any all one
    der die das den dem des ein eine einen einem einer eines ich du er sie es wir ihr mich dich ihn uns euch mir dir ihm ihnen mein dein sein unser euer und
    oder aber auch so wie was wer wo wann warum ist sind war waren bin bist sei sein hat habe haben hatte wird werden wurde kann können soll sollte muss will
    möchte zu in im an am auf aus bei mit von vom zum zur für über um als dass ob wenn dann da hier ja na ach ähm
    le la les un une des du de ce cet cette ces il elle on nous vous ils elles je tu te se mon ma mes ton ta tes son sa ses notre votre et ou mais que qui
    quoi est sont suis es sommes êtes était a as ai avons avez ont à au aux en dans par pour avec sur dont oui ah
    el los las una unos unas este esta esto ese esa eso yo él ella nosotros ellos mi tu su y o pero que quien es son soy está están estoy ha he han hay al
    del en por para con sin sobre como si ya muy más lo le les me nos";

/// Whether these words of a quote show something: at least [`LEAST_WORDS`] of them, what was redacted counted as one, and one of them no function word.
pub fn suffice(words: &[&str]) -> bool {
    let (mut count, mut says, mut rest) = (0, false, words);
    while let Some((first, after)) = rest.split_first() {
        let hidden = placeholder(rest);
        count += 1;
        says |= hidden.is_none() && !FUNCTION_WORDS.contains(first);
        rest = hidden.map_or(after, |length| &rest[length..]);
    }
    count >= LEAST_WORDS && says
}

/// How many of the words that come first are one placeholder: `[DATE_OF_BIRTH_1]` is four words, and stands for one.
fn placeholder(words: &[&str]) -> Option<usize> {
    PersonalData::ALL.iter().find_map(|kind| {
        let length = kind.as_str().split('_').count();
        let named = words.len() > length && kind.as_str().split('_').eq(words[..length].iter().copied());
        (named && words[length].bytes().all(|c| c.is_ascii_digit())).then_some(length + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_says_shows_nothing() {
        let shows = |quote: &str| suffice(&quote.split_whitespace().collect::<Vec<_>>());
        for enough in
            ["how can i help", "i dont know", "was charged twice", "助 か り", "my name is zoe", "das ist kaputt"]
        {
            assert!(shows(enough), "{enough}");
        }
        for little in [
            "",
            "help",
            "help me",
            "i want to",
            "it is the",
            "so that is what it is",
            "das ist die",
            "date of birth 1",
            "my number 3",
            "name 1 and name 2",
            "my name 1",
            "que es lo",
        ] {
            assert!(!shows(little), "{little}");
        }
        assert!(shows("name 1 charged twice"), "what was redacted is one word");
        assert!(!shows("number 12 charged"), "two words");
    }
}
