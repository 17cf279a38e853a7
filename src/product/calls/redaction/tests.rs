use proptest::prelude::*;

use super::{PersonalData::*, *};
use crate::product::calls::model::Speaker;

fn says(n: i32, speaker: Speaker, text: &str) -> Utterance {
    Utterance { n, speaker, start_ms: None, end_ms: None, text: text.to_owned() }
}

fn alone(text: &str) -> String {
    redact(&[says(1, Speaker::Customer, text)], &[], &Company::default()).texts.remove(0)
}

/// The customer's answer to the agent's question.
fn answer(question: &str, text: &str) -> String {
    redact(&[says(1, Speaker::Agent, question), says(2, Speaker::Customer, text)], &[], &Company::default())
        .texts
        .remove(1)
}

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(alone(text), *expected, "of {text:?}");
    }
}

#[test]
fn cards() {
    check(&[
        ("It is 4111 1111 1111 1111, thanks.", "It is [CARD_1], thanks."),
        ("4111-1111-1111-1111", "[CARD_1]"),
        ("my card four one one one one one one one one one one one one one one one okay", "my card [CARD_1] okay"),
        ("It's forty one eleven, eleven eleven, eleven eleven, eleven eleven.", "It's [CARD_1]."),
        ("double four four four 3333 2222 111 one", "[CARD_1]"),
        ("amex 3782 822463 10005", "amex [CARD_1]"),
        ("the last four digits are 4242", "the last four digits are [NUMBER_1]"),
        ("my card ends in 4242", "my card ends in [CARD_1]"),
        ("the cvv is 123", "the cvv is [CARD_1]"),
    ]);
    assert_eq!(answer("Your card number, please?", "4111"), "[CARD_1]");
}

#[test]
fn telephones() {
    check(&[
        ("Call me at (415) 555-0123.", "Call me at ([PHONE_1]."),
        ("+44 20 7946 0958 is mine", "+[PHONE_1] is mine"),
        ("my number is four one five five five five oh one two three", "my number is [PHONE_1]"),
        ("reach me on 555-0123", "reach me on [PHONE_1]"),
    ]);
}

#[test]
fn what_is_typed() {
    check(&[
        ("write to zoë.o'neil+x@mail.example.com.", "write to [EMAIL_1]."),
        ("it is anna dot berg at g mail dot com", "it is [EMAIL_1]"),
        ("jane_doe at hotmail.com", "[EMAIL_1]"),
        ("j a n e 4 2 at company dash name dot co dot uk please", "[EMAIL_1] please"),
        ("see https://example.com/a?b=c, or www.example.org", "see [URL_1], or [URL_2]"),
        ("on example dot com", "on [URL_1]"),
        ("from 192.168.10.254 and 2001:db8::1", "from [IP_1] and [IP_2]"),
        ("one ninety two dot one six eight dot one dot twenty", "[IP_1]"),
        ("IBAN DE89 3704 0044 0532 0130 00.", "IBAN [IBAN_1]."),
        ("GB29NWBK60161331926819", "[IBAN_1]"),
        (
            "d e eight nine three seven oh four double oh four four oh five three two oh one three oh double oh",
            "[IBAN_1]",
        ),
    ]);
}

#[test]
fn dates_of_birth() {
    check(&[
        ("I was born on March 3rd, 1985.", "I was born on [DATE_OF_BIRTH_1]."),
        ("my date of birth is 03/04/1985", "my date of birth is [DATE_OF_BIRTH_1]"),
        ("date of birth the third of march nineteen eighty five", "date of birth the [DATE_OF_BIRTH_1]"),
        ("dob zero three twelve nineteen eighty", "dob [DATE_OF_BIRTH_1]"),
        ("My flight is on March 3rd.", "My flight is on March 3rd."),
        ("on 2026-03-04 at 10:30", "on 2026-03-04 at 10:30"),
    ]);
    assert_eq!(answer("What's your date of birth?", "12 May 1971"), "[DATE_OF_BIRTH_1]");
}

#[test]
fn addresses() {
    check(&[
        ("I live at 12 Oak Lane, Springfield, IL 62704.", "I live at [ADDRESS_1]."),
        ("it's four fifty hayes street san francisco", "it's [ADDRESS_1]"),
        ("send it to 7200 Bancroft Ave # 125C please", "send it to [ADDRESS_1] please"),
        ("Hauptstraße 12, 10115 Berlin", "[ADDRESS_1]"),
        ("the zip code is nine four one zero three", "the zip code is [ADDRESS_1]"),
        ("10 Downing Street, London SW1A 2AA", "[ADDRESS_1]"),
        ("p o box 77", "[ADDRESS_1]"),
        ("I have two questions on the way", "I have two questions on the way"),
    ]);
}

#[test]
fn names() {
    check(&[
        ("My name is Xiomara Quispe, hello.", "My name is [NAME_1], hello."),
        ("my name is jamal okoro and i need help", "my name is [NAME_1] and i need help"),
        ("This is Sarah.", "This is [NAME_1]."),
        ("This is Great.", "This is Great."),
        ("Thank you, Mr. Abernathy!", "Thank you, Mr. [NAME_1]!"),
        ("I'm Ludwig van Beek.", "I'm [NAME_1]."),
        ("Will you mark the rose?", "Will you mark the rose?"),
    ]);
    assert_eq!(answer("May I have your full name?", "Sure, Priyanka Raghunathan"), "Sure, [NAME_1]");
    assert_eq!(answer("And your last name?", "b e r g"), "[NAME_1]");
    let call = [
        says(1, Speaker::Customer, "I am Tomasz Wrona."),
        says(2, Speaker::Agent, "Thanks, Tomasz! Mrs Wrona called."),
    ];
    assert_eq!(redact(&call, &[], &Company::default()).texts[1], "Thanks, [NAME_1]! Mrs [NAME_1] called.");
}

#[test]
fn names_that_nobody_announces() {
    check(&[
        ("The invoice went to Zbigniew Okonkwo-Price.", "The invoice went to [NAME_1]."),
        ("put it under leopold please", "put it under [NAME_1] please"),
        ("my neighbour saoirse took it", "my neighbour [NAME_1] took it"),
        ("thank you for calling gunther zielinski speaking", "thank you for calling [NAME_1] speaking"),
        ("it was tevita o'donnell", "it was [NAME_1]"),
        ("Mrs. Price called.", "Mrs. [NAME_1] called."),
        ("My name is Hope.", "My name is [NAME_1]."),
    ]);
    assert_eq!(answer("May I have the name on the account?", "Ngozi"), "[NAME_1]");
    assert_eq!(answer("who placed the order", "gunther did on friday"), "[NAME_1] did on friday");
}

#[test]
fn what_is_written_like_a_name_and_is_none_stays() {
    for text in [
        "I have the Samsung Galaxy and my wife an iPhone 13.",
        "The Toyota Corolla is at Angel Stadium, near Beverly Hills.",
        "We flew with American Airlines from Charles de Gaulle International.",
        "What does DNS say, or the VPN?",
        "Northlight Energy, customer service. You are through to Northlight Energy.",
        "get me your manager pls",
        "You are on the Unlimited Plus plan until the 14th of July.",
        "we need a large pepperoni and two cokes",
        "it says page not found when i open the app",
    ] {
        assert_eq!(alone(text), text);
    }
}

#[test]
fn numbers_of_accounts_and_orders() {
    check(&[
        ("my account number is 48291", "my account number is [NUMBER_1]"),
        ("Order ID: 7916676427", "Order ID: [NUMBER_1]"),
        ("reference AB-12345", "reference [NUMBER_1]"),
        ("confirmation code x k nine four two", "confirmation code [NUMBER_1]"),
        ("my social security number is 078-05-1120", "my social security number is [NUMBER_1]"),
    ]);
    assert_eq!(answer("And your order number?", "4471"), "[NUMBER_1]");
    check(&[
        ("it says ORD-550091 on it", "it says [NUMBER_1] on it"),
        ("my claim is H4X196", "my claim is [NUMBER_1]"),
        ("My code is 04-4471-22 and I cannot check in.", "My code is [NUMBER_1] and I cannot check in."),
    ]);
    // What was asked for is waited for, and these are no answers.
    for text in
        ["There are 120 seats left, row 22 is free.", "Error 404 comes up.", "a hotel with 350 rooms and 4 stars"]
    {
        assert_eq!(answer("Could you give me the order number?", text), text);
    }
}

#[test]
fn nothing_but_an_iban_is_one() {
    // The sum is right, and no country has such numbers.
    check(&[("Ticket KX1530100 has been open for two weeks.", "Ticket [NUMBER_1] has been open for two weeks.")]);
}

#[test]
fn everyday_numbers_stay() {
    for text in [
        "It costs $402 per passenger, $1,234,567 in all.",
        "I need 2 tickets for 4 people at 6:55 am on the 13th.",
        "We have 10 hotels with 3 stars; one of them has a pool.",
        "That is twenty three dollars and fifty cents.",
        "The order came in 2019 and 30% was missing.",
        "Flight 1 of 3, gate B12, seat 14C.",
    ] {
        assert_eq!(alone(text), text);
    }
}

#[test]
fn the_same_value_has_the_same_number() {
    let call = [
        says(1, Speaker::Customer, "4111 1111 1111 1111 or 5500 0000 0000 0004"),
        says(2, Speaker::Agent, "four one one one one one one one one one one one one one one one?"),
    ];
    let redaction = redact(&call, &[], &Company::default());
    assert_eq!(redaction.texts, ["[CARD_1] or [CARD_2]", "[CARD_1]?"]);
    let span = &redaction.spans[1];
    assert_eq!((span.kind, span.value, span.utterance, span.start_char, span.end_char), (Card, 2, 1, 23, 42));
    let told = serde_json::to_string(&redaction.spans).unwrap();
    assert!(!told.contains("4111") && !told.contains("5500"), "{told}");
}

#[test]
fn the_recognisers_entities_count() {
    let entity = Entity { kind: "person_name".into(), text: "marigold".into() };
    let call = [says(1, Speaker::Customer, "So Marigold said, the marigold.")];
    assert_eq!(redact(&call, &[entity], &Company::default()).texts[0], "So [NAME_1] said, the [NAME_1].");
    let other = Entity { kind: "blood_type".into(), text: "said".into() };
    assert_eq!(redact(&call, &[other], &Company::default()).texts[0], call[0].text);
}

#[test]
fn the_digest_is_of_what_was_replaced() {
    let spans = |text: &str| redact(&[says(1, Speaker::Customer, text)], &[], &Company::default()).spans;
    assert_eq!(digest(&spans("a 4111 1111 1111 1111")), digest(&spans("b 5500 0000 0000 0004")));
    assert_ne!(digest(&spans("4111 1111 1111 1111")), digest(&spans("nothing")));
}

#[test]
fn placeholders_are_found_again() {
    let text = "[CARD_1] and [x] [DATE_OF_BIRTH_12], [NAME] [[NAME_3]";
    let found: Vec<&str> = placeholders(text).into_iter().map(|at| &text[at]).collect();
    assert_eq!(found, ["[CARD_1]", "[DATE_OF_BIRTH_12]", "[NAME_3]"]);
}

/// A number that Luhn's sum confirms: the digit that was missing comes last.
fn card(digits: &[u8]) -> String {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(nth, digit)| {
            let value = u32::from(*digit) * if nth % 2 == 0 { 2 } else { 1 };
            value / 10 + value % 10
        })
        .sum();
    let last = (10 - sum % 10) % 10;
    digits.iter().map(u8::to_string).chain([last.to_string()]).collect()
}

const SPOKEN: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// Puts what was replaced back.
fn restored(raw: &str, redacted: &str, spans: &[Span]) -> String {
    let chars: Vec<char> = raw.chars().collect();
    let (mut out, mut rest, mut done) = (String::new(), redacted, 0);
    for span in spans {
        let before: String = chars[done..span.start_char as usize].iter().collect();
        let placeholder = format!("[{}_{}]", span.kind.as_str().to_uppercase(), span.value);
        rest = rest.strip_prefix(&before).unwrap_or_else(|| panic!("{before:?} in {rest:?}"));
        rest = rest.strip_prefix(&placeholder).unwrap_or_else(|| panic!("{placeholder} in {rest:?}"));
        out.push_str(&before);
        out.extend(&chars[span.start_char as usize..span.end_char as usize]);
        done = span.end_char as usize;
    }
    out.push_str(rest);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// However it is grouped, and whatever is said around it.
    #[test]
    fn no_planted_card_is_left(
        mut digits in proptest::collection::vec(0..10_u8, 12..=18),
        gaps in proptest::collection::vec(prop_oneof![4 => Just(""), 2 => Just(" "), 1 => Just("-"), 1 => Just(". "), 1 => Just("\u{a0}")], 19),
        spoken in any::<bool>(),
        before in "[\\PC&&[^0-9]]{0,30}",
        after in "[\\PC&&[^0-9]]{0,30}",
    ) {
        digits[0] = 4;
        digits[1] = 2;
        let card = card(&digits);
        let said: String = card.bytes().zip(&gaps).map(|(digit, gap)| match spoken {
            true => format!("{} ", SPOKEN[usize::from(digit - b'0')]),
            false => format!("{}{gap}", char::from(digit)),
        }).collect();
        let said = said.trim_end_matches([' ', '-', '.', '\u{a0}']);
        let redacted = alone(&format!("{before} {said} {after}"));
        prop_assert!(!redacted.contains(said), "{redacted}");
        let left: String = redacted.chars().filter(char::is_ascii_digit).collect();
        prop_assert!(!left.contains(&card) && left.len() < 6, "{redacted}");
        prop_assert!(redacted.contains("[CARD_1]") || redacted.contains("[IBAN_1]") || ["[EMAIL_1]", "[URL_1]", "[IP_1]"].iter().any(|kind| redacted.contains(kind)), "{redacted}");
    }

    /// Whatever the text is: outside of the spans every character stays, and the spans are of whole characters.
    #[test]
    fn nothing_else_is_touched(texts in proptest::collection::vec("[\\PC0-9 @.,'-]{0,60}", 1..5)) {
        let call: Vec<Utterance> = (1..).zip(&texts).map(|(n, text)| says(n, if n % 2 == 0 { Speaker::Agent } else { Speaker::Customer }, text)).collect();
        let redaction = redact(&call, &[], &Company::default());
        prop_assert_eq!(redaction.texts.len(), call.len());
        for (utterance, redacted) in call.iter().zip(&redaction.texts) {
            let spans: Vec<Span> = redaction.spans.iter().filter(|span| span.utterance == utterance.n).cloned().collect();
            prop_assert_eq!(&restored(&utterance.text, redacted, &spans), &utterance.text);
        }
    }

    /// The same where there is much to replace, in words with accents.
    #[test]
    fn offsets_count_characters(parts in proptest::collection::vec(prop_oneof![
        Just("Grüße, "), Just("日本 "), Just("mein Name ist Jürgen Müller. "), Just("4111 1111 1111 1111 "), Just("zoë@exämple.com "),
        Just("Königstraße 5, 70173 Stuttgart. "), Just("🙂 "), Just("+49 711 5550123 "), Just("e\u{301}te\u{301} ")], 1..12)) {
        let text = parts.concat();
        let call = [says(1, Speaker::Customer, &text)];
        let redaction = redact(&call, &[], &Company::default());
        prop_assert_eq!(restored(&text, &redaction.texts[0], &redaction.spans), text.clone());
        prop_assert!(!redaction.texts[0].contains("4111") && !redaction.texts[0].contains('@') && !redaction.texts[0].contains("Müller"), "{}", redaction.texts[0]);
    }
}

/// A text of the caller's choosing costs what its length costs.
#[test]
fn a_hostile_text_takes_no_longer_than_another() {
    let time = |text: String| {
        let from = std::time::Instant::now();
        alone(&text);
        from.elapsed()
    };
    let plain = time("the quick answer is that we close at noon ".repeat(2_000));
    for part in
        ["01/02/2003 ", "a ", "com dot ", "born 3 ", "4 ", "1 x ", "Anna ", ":a", "12 oak ", "a@", "[A", "at a dot "]
    {
        let hostile = time(part.repeat(84_000 / part.len()));
        assert!(
            hostile < plain * 40 + std::time::Duration::from_millis(500),
            "{part:?}: {hostile:?}, and {plain:?} for a plain text"
        );
    }
}

#[test]
fn the_company_is_no_person_and_whoever_is_called_alike_is_one() {
    let call = [
        says(1, Speaker::Agent, "Good morning, Northlight, this is Northlight Energy, Joel speaking."),
        says(2, Speaker::Customer, "Dear Northlight, regards, Owen Northlight. Mr Northlight wrote."),
    ];
    let redacted = redact(&call, &[], &Company::called("Northlight Energy")).texts;
    assert!(redacted[0].starts_with("Good morning, Northlight, this is Northlight Energy, [NAME_1]"), "{redacted:?}");
    assert!(!redacted[1].contains("Owen") && redacted[1].contains("Mr [NAME_"), "{redacted:?}");
    assert!(redacted[1].starts_with("Dear Northlight,"), "{redacted:?}");
}

#[test]
fn the_list_of_spans_makes_the_redacted_text_of_the_raw_one() {
    let said = |n, text: &str| Utterance {
        n,
        speaker: Speaker::Customer,
        start_ms: None,
        end_ms: None,
        text: text.to_owned(),
    };
    let raw = vec![
        said(1, "Grüß Gott, my name is Ana Müller and my card is 4111 1111 1111 1111."),
        said(2, "Nothing to see here, Ana."),
        said(3, "Write to ana@example.org, please: ana@example.org!"),
    ];
    let redaction = redact(&raw, &[], &Company::default());
    let replaced = Replaced::of_digest(redaction.spans.clone(), &digest(&redaction.spans));
    assert!(redaction.spans.len() >= 4, "{:?}", redaction.texts);
    assert_eq!((replaced.version, replaced.applied(&raw)), (VERSION, Some(redaction.texts)));
    assert_eq!(replaced.digest(), digest(&redaction.spans));
    assert_eq!(replaced.applied(&raw[..2]), None, "a span is in no utterance");
    let mut changed = raw.clone();
    changed[1].text.push('!');
    assert_ne!(replaced.applied(&changed), replaced.applied(&raw));
    changed[0].text = "Short.".to_owned();
    assert_eq!(replaced.applied(&changed), None);
}
