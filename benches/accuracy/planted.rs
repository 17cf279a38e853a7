//! Conversations with personal data of every kind, written and spoken, and where it stands: made by chance from a seed.
//!
//! Nothing here is taken from the detectors: names are drawn from lists of their own, and phrasings are those of people who ask and answer. Every
//! third phrasing of a kind, and every third name, is held out: detectors were tuned on the others alone.

use std::ops::Range;

use plumbline::product::calls::{
    model::{Speaker, Utterance},
    redaction::PersonalData,
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// Which phrasings and names a conversation is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Those that detectors were tuned on.
    Tuned,
    /// Those that nobody looked at.
    HeldOut,
}

/// A conversation, and what was planted in it: the kind, the utterance's index, and the characters.
pub struct Planted {
    pub utterances: Vec<Utterance>,
    pub items: Vec<(PersonalData, usize, Range<usize>)>,
}

/// What is asked, and how it is answered: `{}` is the item. An empty question: it is said unasked.
type Phrasing = (&'static str, &'static str);

const NAMES: &[Phrasing] = &[
    ("Could I get your full name, please?", "Sure, it's {}."),
    ("Who am I speaking with today?", "{} here."),
    ("", "Good morning, my name is {} and I have a problem with my router."),
    ("", "Hi, this is {} calling about the delivery."),
    ("What name is the booking under?", "The booking should be under {}."),
    ("May I have the name on the account?", "{}"),
    ("", "You already spoke to my wife, {}, last week."),
    ("And whom should the driver ask for?", "Please have him ask for {}."),
    ("", "Thanks for waiting. I'm {}, how can I help?"),
    ("", "This is {}, I ordered a lamp from you."),
    ("Your name?", "{} is my name."),
    ("Am I speaking to the owner?", "Yes, {} speaking."),
    ("", "Can you connect me with {} in billing?"),
    ("Who placed the order?", "{} did, on Friday."),
    ("", "The invoice was addressed to {} by mistake."),
    ("", "{} told me that you would call."),
    ("", "I am {}, what seems to be the problem?"),
    ("And the passenger?", "The passenger is {}."),
];
const PHONES: &[Phrasing] = &[
    ("What's the best number to reach you?", "You can reach me on {}."),
    ("Could I have a callback number?", "{}"),
    ("", "If we get cut off, call me back at {} please."),
    ("And the phone number on file?", "It should be {}, I think."),
    ("", "My mobile is {} and I am home after six."),
    ("Which number should the technician dial?", "He can dial {} any time."),
];
const CARDS: &[Phrasing] = &[
    ("Can you read me the card number?", "Yes, it's {}."),
    ("What card would you like to use?", "Use my Visa, {} please."),
    ("", "You charged {} twice last month!"),
    ("Please give me the long number on the front.", "{}"),
    ("", "I want to pay with {}, expiry is next year."),
    ("Which card is on the account?", "The one with {} on it."),
];
const ADDRESSES: &[Phrasing] = &[
    ("Where should we ship it?", "Ship it to {}, please."),
    ("What's your address?", "{}"),
    ("", "I moved, my new address is {}."),
    ("Can you confirm the delivery address?", "Yes, that would be {}."),
    ("", "The parcel was left at {} and it is not my house."),
    ("And where do you live now?", "We live at {} since May."),
];
const EMAILS: &[Phrasing] = &[
    ("What e-mail address do you have on file?", "That's {}."),
    ("", "Please send the receipt to {} as well."),
    ("Can I get an email for the confirmation?", "{}"),
    ("", "My login is {} but the password does not work."),
    ("Where should I send the label?", "Send it to {} if you can."),
    ("And how do you sign in?", "I sign in with {} normally."),
];
const IBANS: &[Phrasing] = &[
    ("Which bank account should the refund go to?", "To {}, please."),
    ("What's your IBAN?", "{}"),
    ("", "The money never arrived at {}."),
    ("Could you read me the IBAN?", "Sure: {}."),
    ("", "I sent it from {} on Monday."),
    ("Where do we transfer it?", "Please transfer it to {} then."),
];
const BIRTHS: &[Phrasing] = &[
    ("What's your date of birth?", "{}."),
    ("For security, when were you born?", "I was born on {}."),
    ("", "My birthday is {}, by the way."),
    ("And your birth date, please?", "That's {}."),
    ("", "I was born {} in a small town."),
    ("Can you verify the date of birth?", "Sure, {}."),
];
const NUMBERS: &[Phrasing] = &[
    ("Do you have the order number?", "Yes, it's {}."),
    ("What's your account ID?", "{}"),
    ("", "My confirmation code is {} and I cannot check in."),
    ("Could you give me the reference?", "The reference says {}."),
    ("", "I'm calling about order {}, it never came."),
    ("What is your policy number?", "Let me look. It's {}."),
];
const IPS: &[Phrasing] = &[
    ("What address does the router show?", "It shows {}."),
    ("", "Somebody logged in from {} last night."),
    ("Which IP do you see?", "{}"),
    ("", "The camera has {} and does not answer."),
    ("Can you tell me the gateway?", "The gateway is {} I believe."),
    ("And the server?", "The server is at {} right now."),
];
const URLS: &[Phrasing] = &[
    ("Which page gives the error?", "It's {}."),
    ("", "I ordered it on {} yesterday."),
    ("Where did you see that price?", "On {}, in the evening."),
    ("", "My shop is {} and it is down."),
    ("What link did you click?", "{}"),
    ("And your website?", "Our website is {} since last year."),
];

/// What is said between: nobody's data, though much of it has numbers and capital letters.
const SMALL_TALK: &[&str] = &[
    "The ticket costs $402 and departs at 6:55 am.",
    "I'd like two large coffees with oat milk, please.",
    "We have 3 rooms left for the 14th of July at $129 per night.",
    "Let me check that for you, one moment please.",
    "It broke after 2 weeks, and I bought it in 2024.",
    "There are 15 minutes left, gate B12, seat 14C.",
    "Your total comes to 1,299 dollars and 50 cents.",
    "The premium plan has 500 GB and costs 19.99 a month.",
    "Is there anything else I can help you with today?",
    "I waited for forty five minutes on the line!",
    "No, that was on Monday, not on Thursday.",
    "The Samsung television does not turn on since the update.",
    "You will get a refund of 30% within five business days.",
    "They open at nine and close at half past seven.",
    "Please hold the power button for ten seconds.",
    "Version 4.2.1 should fix that, it came out on March 3rd.",
    "I would say that it is worth every penny.",
    "We flew from London to Chicago with American Airlines.",
    "Can I change it to a table for four at eight o'clock?",
    "OK, sounds good. Thank you so much for your help!",
    "The manual says two hundred and twenty volts.",
    "He was really nice about it, to be honest.",
    "It's the blue one, size 42, model X200.",
    "Great, then I will wait for the next bus on the way home.",
];

const GIVEN: &[&str] = &[
    "Oluwaseun",
    "Martin",
    "Xiomara",
    "Thandiwe",
    "Sarah",
    "Bronagh",
    "Saoirse",
    "Kevin",
    "Eleni",
    "Tevita",
    "Jessica",
    "Anselm",
    "Nkechi",
    "Robert",
    "Guadalupe",
    "Zbigniew",
    "Laura",
    "Ishaan",
    "Marisela",
    "Daniel",
    "Thorvald",
    "Aoife",
    "Patricia",
    "Desmond",
    "Yevgenia",
    "Michael",
    "Shanice",
    "Emily",
    "Rajiv",
    "Leopold",
];
const SURNAMES: &[&str] = &[
    "Adeyemi",
    "Hargreaves",
    "Quispe",
    "Dlamini",
    "Whitcombe",
    "Mulcahy",
    "Papadakis",
    "Fifita",
    "Lindqvist",
    "Okonkwo",
    "Baxter",
    "Villanueva",
    "Wrobel",
    "Iyer",
    "Castellanos",
    "Jorgensen",
    "Gallagher",
    "Ashworth",
    "Petrenko",
    "Featherstone",
    "Nakamura",
    "Thackeray",
    "Oduya",
    "Kessler",
    "Bianchetti",
    "McAllister",
    "Vandermeer",
    "Solberg",
    "Kapoor",
    "Underhill",
];
const STREETS: &[&str] = &[
    "Maple",
    "Rosewood",
    "Harbour",
    "Larkspur",
    "Old Mill",
    "Wellington",
    "Juniper",
    "Cobbler",
    "Saint Anne",
    "Copper Hill",
    "Fifth",
    "Magnolia",
];
const WAYS: &[&str] = &["Street", "Avenue", "Road", "Lane", "Drive", "Court", "Boulevard", "Terrace"];
const TOWNS: &[(&str, &str, &str)] = &[
    ("Dayton", "OH", "ohio"),
    ("Tucson", "AZ", "arizona"),
    ("Portland", "OR", "oregon"),
    ("Savannah", "GA", "georgia"),
    ("Boulder", "CO", "colorado"),
    ("Albany", "NY", "new york"),
    ("Madison", "WI", "wisconsin"),
    ("Fresno", "CA", "california"),
];
const DOMAINS: &[(&str, &str)] = &[
    ("gmail.com", "gmail dot com"),
    ("fastpost.org", "fast post dot org"),
    ("yahoo.co.uk", "yahoo dot co dot uk"),
    ("blue-harbour.net", "blue dash harbour dot net"),
    ("web.de", "web dot de"),
    ("larkmail.io", "larkmail dot io"),
];
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
        let introduces_the_agent = answer.contains("how can I help");
        if question.is_empty() {
            maker.small_talk(&mut planted, Speaker::Agent);
        } else {
            maker.say(&mut planted, Speaker::Agent, question);
        }
        let item = maker.item(kind);
        let (before, after) = answer.split_once("{}").expect("every answer has its item");
        let (before, after) = (maker.voice(before), maker.voice(after));
        // "the third of May": the article is nobody's.
        let article = if item.starts_with("the ") { 4 } else { 0 };
        let from = before.chars().count();
        planted.items.push((kind, planted.utterances.len(), from + article..from + item.chars().count()));
        let speaker = if introduces_the_agent { Speaker::Agent } else { Speaker::Customer };
        planted.push(speaker, format!("{before}{item}{after}"));
        maker.small_talk(&mut planted, Speaker::Agent);
    }
    planted
}

impl Planted {
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
    fn phrasing(&mut self, kind: PersonalData) -> Phrasing {
        let all = match kind {
            PersonalData::Name => NAMES,
            PersonalData::Phone => PHONES,
            PersonalData::Card => CARDS,
            PersonalData::Address => ADDRESSES,
            PersonalData::Email => EMAILS,
            PersonalData::Iban => IBANS,
            PersonalData::DateOfBirth => BIRTHS,
            PersonalData::Number => NUMBERS,
            PersonalData::Ip => IPS,
            PersonalData::Url => URLS,
        };
        self.mine(all)
    }

    /// One of those that are of this part: every third is held out.
    fn mine<T: Copy>(&mut self, all: &[T]) -> T {
        let held_out = self.part == Part::HeldOut;
        let mine: Vec<T> =
            all.iter().enumerate().filter(|(nth, _)| (nth % 3 == 2) == held_out).map(|(_, one)| *one).collect();
        *mine.choose(&mut self.chance).expect("a third of it is something")
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
        let text = self.any(SMALL_TALK);
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
        let (given, surname) = (self.mine(GIVEN), self.mine(SURNAMES));
        self.voice(&format!("{given} {surname}"))
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
        match self.below(6) {
            0 => format!("({area}) {middle}-{last}"),
            1 => format!("{area}-{middle}-{last}"),
            2 => format!("+1 {area} {middle} {last}"),
            3 => format!("{area}.{middle}.{last}"),
            4 => format!("07700 {}", self.digits(6)),
            _ => format!("+49 30 {}", self.digits(7)),
        }
    }

    fn card(&mut self) -> String {
        let length = if self.below(4) == 0 { 15 } else { 16 };
        let mut digits = format!(
            "{}{}",
            if length == 15 { "37" } else { "4" },
            self.digits(length - if length == 15 { 3 } else { 2 })
        );
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
        let (number, street, way) = (1 + self.below(1_900), self.any(STREETS), self.any(WAYS));
        let (town, state, spoken_state) = self.any(TOWNS);
        let code = format!("{}{}", 1 + self.below(9), self.digits(4));
        if self.spoken {
            let (house, code, flat) =
                (self.spell(&number.to_string()), self.spell(&code), DIGITS[1 + self.below(9) as usize]);
            let unit = if self.below(3) == 0 { format!(" apartment {flat}") } else { String::new() };
            return format!("{house} {street} {way}{unit} {town} {spoken_state} {code}").to_lowercase();
        }
        match self.below(5) {
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
            _ => format!("{number} {street} {way}"),
        }
    }

    fn email(&mut self) -> String {
        let (given, surname) = (self.mine(GIVEN).to_lowercase(), self.mine(SURNAMES).to_lowercase());
        let (domain, spoken) = self.any(DOMAINS);
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
        match self.below(4) {
            0 => format!("{name} {day}, {year}"),
            1 => format!("{month:02}/{day:02}/{year}"),
            2 => format!("{year}-{month:02}-{day:02}"),
            _ => format!("{day} {name} {year}"),
        }
    }

    fn number(&mut self) -> String {
        if self.spoken {
            let count = 6 + self.below(5) as usize;
            let digits = self.digits(count);
            return self.spell(&digits);
        }
        match self.below(4) {
            0 => self.digits(10),
            1 => format!("ORD-{}", self.digits(6)),
            2 => format!("{}{}", self.any(&["AC", "KX", "P"]), self.digits(7)),
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
        let owner = self.mine(SURNAMES).to_lowercase();
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
