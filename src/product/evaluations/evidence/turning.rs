//! Words that must be the very same, because a letter or a syllable more or less in them turns a statement round.

/// Syllables that turn a word's meaning round, wherever in it they stand ("zahlungsunfähig").
const AFFIXES: &[&str] = &[
    "un", "in", "im", "il", "ir", "dis", "non", "mis", "de", "anti", "less", "ab", "an", "ent", "ver", "miss", "los",
    "des", "mé", "mal", "re", "nicht", "not",
];

/// Syllables that only words of numbers have, or that are so rare elsewhere that no misspelling is lost.
const OF_NUMBERS: &[&str] = &[
    "teen", "hundred", "thousand", "million", "billion", "zehn", "zig", "ßig", "hundert", "tausend", "mille", "ciento",
    "cientos", "quarant", "cinquant", "soixant", "septant", "nonant", "ottant",
];

/// Numbers, ordinals and parts; weekdays; months; days that are counted from today: English, German, French, Spanish, Italian. Words of fewer
/// letters than a misspelled word must have are not here.
const FIXED: &str = "
    eleven twelve twelfth twenty thirty eighty ninety seventy twentieth thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth second
    fourth seventh eighth quarter double triple single dozens
    sieben achtel erstes erster ersten zweite zweiter zweites zweiten dritte dritter drittes dritten vierte vierter viertes vierten fünfte fünfter
    fünften sechste sechster sechsten siebte siebter siebten achter achten neunte neunter neunten einmal zweimal dreimal viermal halbes viertel
    treize quatorze quinze trente vingtaine premier première deuxième troisième quatrième cinquième sixième septième huitième neuvième dixième
    catorce quince veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa primero segundo tercero cuarto quinto
    undici dodici tredici quattordici quindici sedici diciassette diciotto diciannove trenta quaranta cinquanta sessanta settanta ottanta novanta
    quattro cinque secondo
    monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays thursdays fridays saturdays sundays weekday weekend
    montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag montags dienstags mittwochs donnerstags freitags samstags sonntags
    dimanche mercredi vendredi samedi martes miércoles jueves viernes sábado domingo lunedì martedì mercoledì giovedì venerdì sabato domenica
    january february august september october november december januar februar oktober dezember jänner
    janvier février juillet octobre novembre décembre septembre enero febrero agosto septiembre octubre noviembre diciembre
    gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre
    yesterday tomorrow tonight gestern morgen vorgestern übermorgen demain aujourdhui mañana domani";

/// Denials of six letters and more, without apostrophes.
const DENIALS: &str = "
    cannot nothing nobody nowhere neither without doesnt didnt wasnt werent wouldnt couldnt shouldnt hasnt havent hadnt mustnt neednt
    except unless hardly barely seldom rarely refuse refused denied
    keiner keines keinem keinen keinerlei niemand niemals nirgends nichts weder
    jamais personne aucune aucunement nunca ninguno ninguna nessuno nessuna niente";

/// Whether the word never stands for another spelling: a number, a day, a month or a denial.
pub fn is_fixed(word: &str) -> bool {
    let listed = |words: &str| words.split_whitespace().any(|known| known == word);
    listed(FIXED)
        || listed(DENIALS)
        || OF_NUMBERS.iter().any(|syllable| word.contains(syllable))
        || word.ends_with("nt") && (word.ends_with("dnt") || word.ends_with("snt"))
}

/// Whether one of the words is the other one with an affix put in somewhere.
pub fn by_affix(one: &[char], other: &[char]) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let more = long.len() - short.len();
    AFFIXES.iter().filter(|affix| affix.chars().count() == more).any(|affix| {
        (0..=short.len()).any(|at| {
            long[..at] == short[..at]
                && long[at + more..] == short[at..]
                && long[at..at + more].iter().copied().eq(affix.chars())
        })
    })
}
