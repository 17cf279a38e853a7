//! Conversations with personal data of every kind, written and spoken, and where it stands: made by chance from a seed.
//!
//! Nothing here is taken from the detectors. Phrasings, names and small talk come from one of two files: `tuned.txt`, whose misses are looked at when
//! detectors are changed, and `held_out.txt`, whose misses are only counted. The two have nothing in common.

use std::ops::Range;

use plumbline::product::calls::{
    model::{Speaker, Utterance},
    redaction::{PersonalData, Redaction},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// Which phrasings and names a conversation is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Those that detectors are tuned on.
    Tuned,
    /// Those that detectors are judged by.
    HeldOut,
}

impl Part {
    /// The lines of a section of its file.
    fn lines(self, section: &str) -> Vec<&'static str> {
        let file = match self {
            Self::Tuned => include_str!("tuned.txt"),
            Self::HeldOut => include_str!("held_out.txt"),
        };
        let heading = format!("[{section}]");
        let lines = file.lines().skip_while(|line| *line != heading).skip(1);
        let lines: Vec<&str> =
            lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.is_empty()).collect();
        assert!(!lines.is_empty(), "no {heading}");
        lines
    }
}

/// A conversation, and what was planted in it: the kind, the utterance's index, and the characters.
pub struct Planted {
    pub utterances: Vec<Utterance>,
    pub items: Vec<(PersonalData, usize, Range<usize>)>,
}

const WAYS: &[&str] = &["Street", "Avenue", "Road", "Lane", "Drive", "Court", "Boulevard", "Terrace"];
const MONTHS: &[&str] = &[
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: &[&str] = &[
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
    "twenty first",
    "twenty second",
    "twenty third",
    "twenty fourth",
    "twenty fifth",
    "twenty sixth",
    "twenty seventh",
    "twenty eighth",
];
const DIGITS: &[&str] = &["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const TEENS: &[&str] =
    &["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"];
const TENS: &[&str] = &["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// A conversation of that seed: each kind once, in any order, with small talk between; spoken ones as a recogniser writes them, in lower case and
/// without punctuation.
pub fn conversation(seed: u64, part: Part) -> Planted {
    let mut maker = Maker { chance: StdRng::seed_from_u64(seed), part, spoken: seed % 2 == 1 };
    let mut planted = Planted { utterances: vec![], items: vec![] };
    let mut kinds = PersonalData::ALL.to_vec();
    for at in (1..kinds.len()).rev() {
        kinds.swap(at, maker.chance.random_range(0..=at));
    }
    for kind in kinds {
        maker.small_talk(&mut planted, Speaker::Customer);
        let (question, answer) = maker.phrasing(kind);
        let introduces_the_agent =
            ["how can I help", "how may I", "what can I do"].iter().any(|said| answer.contains(said));
        if question.is_empty() {
            maker.small_talk(&mut planted, Speaker::Agent);
        } else {
            maker.say(&mut planted, Speaker::Agent, question);
        }
        let item = maker.item(kind);
        let (before, after) = answer.split_once("{}").expect("every answer has its item");
        let (before, after) = (maker.voice(before), maker.voice(after));
        // "the third of May", "Mrs. Price": neither the article nor the title is anybody's.
        let unowned = ["the ", "Mr. ", "Mrs. ", "Ms. ", "Dr. ", "mr ", "mrs ", "ms ", "dr "];
        let unowned = unowned.iter().find(|before| item.starts_with(**before)).map_or(0, |before| before.len());
        let from = before.chars().count();
        planted.items.push((kind, planted.utterances.len(), from + unowned..from + item.chars().count()));
        let speaker = if introduces_the_agent { Speaker::Agent } else { Speaker::Customer };
        planted.push(speaker, format!("{before}{item}{after}"));
        maker.small_talk(&mut planted, Speaker::Agent);
    }
    planted
}

/// What a redaction made of a conversation.
pub struct Look {
    /// Of each item whether every letter and digit of it is gone, whatever kind it was taken for.
    pub items: Vec<(PersonalData, bool)>,
    /// Words outside of every item, and those of them of which something is gone.
    pub words: u32,
    pub wrong: u32,
}

impl Planted {
    pub fn look(&self, redaction: &Redaction) -> Look {
        let mut look = Look { items: vec![], words: 0, wrong: 0 };
        for (nth, utterance) in self.utterances.iter().enumerate() {
            let spans: Vec<_> = redaction.spans.iter().filter(|span| span.utterance == utterance.n).collect();
            let hidden =
                |at: usize| spans.iter().any(|span| (span.start_char as usize..span.end_char as usize).contains(&at));
            let items: Vec<_> = self.items.iter().filter(|(_, at, _)| *at == nth).collect();
            let chars: Vec<char> = utterance.text.chars().collect();
            for (kind, _, range) in &items {
                let found = range.clone().all(|at| !chars[at].is_alphanumeric() || hidden(at));
                look.items.push((*kind, found));
            }
            let mut at = 0;
            while at < chars.len() {
                let length = chars[at..].iter().take_while(|c| c.is_alphanumeric()).count();
                let word = at..at + length;
                at += length.max(1);
                if length == 0 || items.iter().any(|(_, _, range)| range.start < word.end && word.start < range.end) {
                    continue;
                }
                look.words += 1;
                look.wrong += u32::from(word.clone().any(hidden));
            }
        }
        look
    }

    fn push(&mut self, speaker: Speaker, text: String) {
        let n = i32::try_from(self.utterances.len() + 1).expect("a short conversation");
        self.utterances.push(Utterance { n, speaker, start_ms: None, end_ms: None, text });
    }
}

struct Maker {
    chance: StdRng,
    part: Part,
    spoken: bool,
}

impl Maker {
    /// What is asked, and how it is answered: `{}` is the item. An empty question: it is said unasked.
    fn phrasing(&mut self, kind: PersonalData) -> (&'static str, &'static str) {
        let line = self.mine(kind.as_str());
        let (question, answer) = line.split_once('|').expect("a phrasing has two sides");
        (question.trim(), answer.trim())
    }

    fn mine(&mut self, section: &str) -> &'static str {
        self.part.lines(section).choose(&mut self.chance).expect("a section has lines")
    }

    fn any<T: Copy>(&mut self, all: &[T]) -> T {
        *all.choose(&mut self.chance).expect("something")
    }

    fn below(&mut self, most: u32) -> u32 {
        self.chance.random_range(0..most)
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + self.below(10) as u8)).collect()
    }

    /// As it is heard, when it is spoken.
    fn voice(&self, text: &str) -> String {
        if !self.spoken {
            return text.to_owned();
        }
        text.to_lowercase().replace("e-mail", "email").replace(['.', ',', '?', '!', ':'], "")
    }

    fn say(&mut self, planted: &mut Planted, speaker: Speaker, text: &str) {
        planted.push(speaker, self.voice(text));
    }

    fn small_talk(&mut self, planted: &mut Planted, speaker: Speaker) {
        let text = self.mine("small talk");
        self.say(planted, speaker, text);
    }

    fn item(&mut self, kind: PersonalData) -> String {
        match kind {
            PersonalData::Name => self.name(),
            PersonalData::Phone => self.phone(),
            PersonalData::Card => self.card(),
            PersonalData::Address => self.address(),
            PersonalData::Email => self.email(),
            PersonalData::Iban => self.iban(),
            PersonalData::DateOfBirth => self.birth(),
            PersonalData::Number => self.number(),
            PersonalData::Ip => self.ip(),
            PersonalData::Url => self.url(),
        }
    }

    fn name(&mut self) -> String {
        let (given, surname) = (self.mine("given"), self.mine("surnames"));
        let name = match self.below(9) {
            0 => given.to_owned(),
            1 => format!("{} {surname}", self.any(&["Mr.", "Mrs.", "Ms.", "Dr."])),
            2 => format!("{given} {surname}-{}", self.mine("surnames")),
            _ => format!("{given} {surname}"),
        };
        self.voice(&name).replace(if self.spoken { '-' } else { '\0' }, " ")
    }

    fn phone(&mut self) -> String {
        let (area, middle, last) = (200 + self.below(700), 200 + self.below(700), self.digits(4));
        if self.spoken {
            let said = self.spell(&format!("{area}{middle}"));
            let last = if self.below(2) == 0 {
                self.spell(&last)
            } else {
                format!("{} {}", pair(&last[..2]), pair(&last[2..]))
            };
            return format!("{said} {last}");
        }
        match self.below(9) {
            0 => format!("({area}) {middle}-{last}"),
            1 => format!("{area}-{middle}-{last}"),
            2 => format!("+1 {area} {middle} {last}"),
            3 => format!("{area}.{middle}.{last}"),
            4 => format!("07700 {}", self.digits(6)),
            5 => format!("{area} {middle} {last}"),
            6 => format!("1-800-{middle}-{last}"),
            7 => format!("+33 6 {} {} {} {}", self.digits(2), self.digits(2), self.digits(2), self.digits(2)),
            _ => format!("+49 30 {}", self.digits(7)),
        }
    }

    fn card(&mut self) -> String {
        let length = if self.below(4) == 0 { 15 } else { 16 };
        let issuer = if length == 15 { "37" } else { self.any(&["4", "4", "52", "6011"]) };
        let mut digits = format!("{issuer}{}", self.digits(length - 1 - issuer.len()));
        let sum: u32 = digits
            .bytes()
            .rev()
            .enumerate()
            .map(|(nth, digit)| {
                let value = u32::from(digit - b'0') * if nth % 2 == 0 { 2 } else { 1 };
                value / 10 + value % 10
            })
            .sum();
        digits.push(char::from(b'0' + ((10 - sum % 10) % 10) as u8));
        if self.spoken {
            let pairs = self.below(3) == 0 && length == 16;
            let fours = digits.as_bytes().chunks(2).map(|two| pair(&String::from_utf8_lossy(two)));
            return if pairs { fours.collect::<Vec<_>>().join(" ") } else { self.spell(&digits) };
        }
        let sign = self.any(&["", " ", "-"]);
        let groups: &[usize] = if length == 15 { &[4, 6, 5] } else { &[4, 4, 4, 4] };
        grouped(&digits, groups, sign)
    }

    fn address(&mut self) -> String {
        let (number, street, way) = (1 + self.below(1_900), self.mine("streets"), self.any(WAYS));
        let place: Vec<&str> = self.mine("towns").split(" | ").collect();
        let (town, state, spoken_state) = (place[0], place[1], place[2]);
        let code = format!("{}{}", 1 + self.below(9), self.digits(4));
        if self.spoken {
            let (house, code, flat) =
                (self.spell(&number.to_string()), self.spell(&code), DIGITS[1 + self.below(9) as usize]);
            let unit = if self.below(3) == 0 { format!(" apartment {flat}") } else { String::new() };
            return format!("{house} {street} {way}{unit} {town} {spoken_state} {code}").to_lowercase();
        }
        match self.below(7) {
            0 => format!("{number} {street} {way}, {town}, {state} {code}"),
            1 => format!("{number} {street} {way}, Apt {}, {town}, {state} {code}", 1 + self.below(90)),
            2 => {
                format!("{} {street} {way}, Leeds LS{} {}AB", 1 + self.below(90), 1 + self.below(9), 1 + self.below(9))
            }
            3 => {
                format!("{street} {way} {number}").replacen(
                    &format!("{street} {way}"),
                    self.any(&["Lindenallee", "Goethestraße", "Mühlweg"]),
                    1,
                ) + ", 50667 Köln"
            }
            4 => format!("{number} {street} {way} in {town}"),
            5 => format!("P.O. Box {number}, {town}, {state} {code}"),
            _ => format!("{number} {street} {way}"),
        }
    }

    fn email(&mut self) -> String {
        let (given, surname) = (self.mine("given").to_lowercase(), self.mine("surnames").to_lowercase());
        let (domain, spoken) = self.mine("domains").split_once(" | ").expect("a domain is written and spoken");
        let number = self.below(90) + 10;
        match (self.spoken, self.below(4)) {
            (false, 0) => format!("{given}.{surname}@{domain}"),
            (false, 1) => format!("{given}{number}@{domain}"),
            (false, 2) => format!("{}_{surname}@{domain}", &given[..1]),
            (false, _) => format!("{surname}-{given}+orders@{domain}"),
            (true, 0) => format!("{given} dot {surname} at {spoken}"),
            (true, 1) => format!("{given} {} at {spoken}", pair(&number.to_string())),
            (true, 2) => format!("{given} underscore {surname} at {spoken}"),
            (true, _) => format!("{} at {spoken}", surname.chars().map(String::from).collect::<Vec<_>>().join(" ")),
        }
    }

    fn iban(&mut self) -> String {
        let (country, account) = match self.below(3) {
            0 => ("DE", self.digits(18)),
            1 => ("NL", format!("ABNA{}", self.digits(10))),
            _ => ("GB", format!("NWBK{}", self.digits(14))),
        };
        let number: String =
            format!("{account}{country}00").chars().map(|c| c.to_digit(36).unwrap_or(0).to_string()).collect();
        let rest = number.bytes().fold(0, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97);
        let iban = format!("{country}{:02}{account}", 98 - rest);
        if self.spoken {
            return self.spell(&iban);
        }
        if self.below(2) == 0 { iban } else { grouped(&iban, &[4; 9], " ") }
    }

    fn birth(&mut self) -> String {
        let (day, month, year) = (1 + self.below(28), 1 + self.below(12), 1940 + self.below(65));
        let name = MONTHS[month as usize - 1];
        if self.spoken {
            let year = if year < 2000 {
                format!("nineteen {}", year_pair(year))
            } else {
                format!("two thousand {}", DIGITS[(year % 10) as usize])
            };
            let year = year.trim_end_matches(" zero").to_owned();
            let (day, name) = (DAYS[day as usize - 1], name.to_lowercase());
            return if self.below(2) == 0 {
                format!("{name} {day} {year}")
            } else {
                format!("the {day} of {name} {year}")
            };
        }
        match self.below(7) {
            0 => format!("{name} {day}, {year}"),
            1 => format!("{month:02}/{day:02}/{year}"),
            2 => format!("{year}-{month:02}-{day:02}"),
            3 => format!("{day}.{month}.{year}"),
            4 => format!("{} {day} {year}", &name[..3]),
            5 => format!("{month}/{day}/{:02}", year % 100),
            _ => format!("{day} {name} {year}"),
        }
    }

    fn number(&mut self) -> String {
        if self.spoken {
            let count = 6 + self.below(5) as usize;
            let digits = self.digits(count);
            return self.spell(&digits);
        }
        match self.below(7) {
            0 => self.digits(10),
            1 => format!("ORD-{}", self.digits(6)),
            2 => format!("{}{}", self.any(&["AC", "KX", "P"]), self.digits(7)),
            3 => format!("{}-{}-{}", self.digits(3), self.digits(3), self.digits(3)),
            4 => format!("INV-2025-{}", self.digits(5)),
            5 => format!("{}{}{}", self.any(&["H4", "Z9", "7Q"]), self.any(&["K", "X", "M"]), self.digits(3)),
            _ => format!("#{}", self.digits(5)),
        }
    }

    fn ip(&mut self) -> String {
        let parts: Vec<u32> = (0..4).map(|_| 1 + self.below(254)).collect();
        if self.spoken {
            let parts: Vec<String> = parts.iter().map(|part| self.spell(&part.to_string())).collect();
            return parts.join(" dot ");
        }
        if self.below(4) == 0 {
            return format!("2001:db8:{:x}::{:x}", 1 + self.below(60_000), 1 + self.below(60_000));
        }
        parts.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
    }

    fn url(&mut self) -> String {
        let owner = self.mine("surnames").to_lowercase();
        if self.spoken {
            return match self.below(3) {
                0 => format!("www dot {owner} dot com"),
                1 => format!("shop dot {owner} dot co dot uk"),
                _ => format!("{owner} dot net"),
            };
        }
        match self.below(3) {
            0 => format!("https://www.{owner}.com/orders/{}?user={owner}", self.below(900)),
            1 => format!("www.{owner}-shop.de"),
            _ => format!("{owner}.co.uk/help"),
        }
    }

    /// Letters and digits one by one, as people say them.
    fn spell(&mut self, text: &str) -> String {
        let (oh, double) = (self.below(2) == 0, self.below(3) == 0);
        let letters: Vec<char> = text.to_lowercase().chars().collect();
        let (mut said, mut at) = (vec![], 0);
        while at < letters.len() {
            let word = match letters[at].to_digit(10) {
                Some(0) if oh => "oh".to_owned(),
                Some(digit) => DIGITS[digit as usize].to_owned(),
                None => letters[at].to_string(),
            };
            if double && letters[at].is_ascii_digit() && letters.get(at + 1) == Some(&letters[at]) {
                said.push(format!("double {word}"));
                at += 2;
            } else {
                said.push(word);
                at += 1;
            }
        }
        said.join(" ")
    }
}

fn grouped(text: &str, groups: &[usize], sign: &str) -> String {
    let (mut rest, mut parts) = (text, vec![]);
    for group in groups {
        let (part, after) = rest.split_at((*group).min(rest.len()));
        parts.push(part);
        rest = after;
    }
    parts.retain(|part| !part.is_empty());
    parts.join(sign)
}

/// Two digits as one number: "42" is "forty two", "05" is "oh five".
fn pair(two: &str) -> String {
    let digit = |at: usize| two.as_bytes()[at] - b'0';
    let unit = DIGITS[usize::from(digit(1))];
    match digit(0) {
        0 => format!("oh {unit}"),
        1 => TEENS[usize::from(digit(1))].to_owned(),
        tens if digit(1) == 0 => TENS[usize::from(tens)].to_owned(),
        tens => format!("{} {unit}", TENS[usize::from(tens)]),
    }
}

fn year_pair(year: u32) -> String {
    pair(&format!("{:02}", year % 100))
}
