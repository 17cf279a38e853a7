//! The guidance grammar: plain English sentences that a person and a real model read as they stand (docs/STAND_INS.md).

use super::{
    Verdict,
    matching::{Phrase, Speaker},
};

/// What a criterion's guidance says, sentence by sentence.
#[derive(Debug, Default, PartialEq)]
pub struct Guidance {
    /// The sentences that were understood, in their order.
    pub rules: Vec<Rule>,
    /// The verdict of an `Otherwise …` sentence.
    pub otherwise: Option<Verdict>,
    /// Sentences that begin like a rule and quote something, and yet were not understood.
    pub not_understood: Vec<String>,
}

/// One sentence: `Yes if the agent says "a" or "b" within the first 3 utterances.`
#[derive(Debug, PartialEq)]
pub struct Rule {
    /// What the rule says when it fires.
    pub verdict: Verdict,
    /// `unless` and `never says`: the rule fires when nothing matches.
    pub unless: bool,
    /// Whose words count; `None` is anyone.
    pub who: Option<Speaker>,
    /// `asks`: the sentence around the match must be a question.
    pub asks: bool,
    /// `and` between the phrases: all of them, each somewhere in the window.
    pub all: bool,
    /// The quoted phrases; one of them is enough unless `all`.
    pub phrases: Vec<Phrase>,
    /// Where to look.
    pub window: Window,
    /// The sentence as written, for the rationale.
    pub sentence: String,
}

/// Which utterances of the conversation a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// All of them.
    Whole,
    /// The first so many.
    First(usize),
    /// The last so many.
    Last(usize),
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
}

impl Guidance {
    /// Reads a guidance. Any text is accepted: what is not a rule is left to the people (and models) who read it.
    pub fn read(text: &str) -> Self {
        let mut guidance = Self::default();
        for sentence in sentences(text) {
            let tokens = tokens(sentence);
            if let Some(verdict) = otherwise(&tokens) {
                guidance.otherwise = Some(verdict);
            } else if let Some(rule) = Reader::new(&tokens).rule(sentence) {
                guidance.rules.push(rule);
            } else if looks_like_a_rule(&tokens) {
                guidance.not_understood.push(sentence.to_owned());
            }
        }
        guidance
    }

    /// Whether the guidance decides anything at all.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.otherwise.is_none()
    }
}

/// Splits at periods outside quotes; a period inside a number or a word does not end a sentence.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut ends = Vec::new();
    let (mut quoted, mut start) = (false, 0);
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => quoted = !quoted,
            '“' => quoted = true,
            '”' => quoted = false,
            '.' if !quoted && characters.peek().is_none_or(|(_, next)| !next.is_alphanumeric()) => {
                ends.push(&text[start..=at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    ends.push(&text[start..]);
    ends.into_iter().map(str::trim).filter(|sentence| !sentence.is_empty())
}

fn tokens(sentence: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (at, part) in sentence.split(['"', '“', '”']).enumerate() {
        if at % 2 == 1 {
            tokens.push(Token::Quoted(part.to_owned()));
            continue;
        }
        let words = part.split(|c: char| c.is_whitespace() || matches!(c, ',' | '.' | ':' | ';' | '(' | ')'));
        tokens.extend(words.filter(|w| !w.is_empty()).map(|word| Token::Word(word.to_lowercase().replace('’', "'"))));
    }
    tokens
}

fn looks_like_a_rule(tokens: &[Token]) -> bool {
    let begins = matches!(tokens.first(), Some(Token::Word(word)) if matches!(word.as_str(), "yes" | "no" | "not"));
    begins && tokens.iter().any(|token| matches!(token, Token::Quoted(_)))
}

/// `Otherwise yes.` and `Yes otherwise.`
fn otherwise(tokens: &[Token]) -> Option<Verdict> {
    let words: Vec<&str> = tokens.iter().map(|t| if let Token::Word(word) = t { word.as_str() } else { "" }).collect();
    match words.as_slice() {
        ["otherwise", verdict] | [verdict, "otherwise"] => Verdict::of_word(verdict),
        ["otherwise", "not", "applicable"] | ["not", "applicable", "otherwise"] => Some(Verdict::NotApplicable),
        _ => None,
    }
}

/// Reads one sentence from left to right; `None` as soon as it is not of the grammar.
struct Reader<'a> {
    tokens: std::iter::Peekable<std::slice::Iter<'a, Token>>,
}

impl<'a> Reader<'a> {
    fn new(tokens: &'a [Token]) -> Self {
        Self { tokens: tokens.iter().peekable() }
    }

    fn word(&mut self) -> Option<&'a str> {
        match self.tokens.next()? {
            Token::Word(word) => Some(word),
            Token::Quoted(_) => None,
        }
    }

    fn skip(&mut self, words: &[&str]) -> bool {
        let next = matches!(self.tokens.peek(), Some(Token::Word(word)) if words.contains(&word.as_str()));
        if next {
            self.tokens.next();
        }
        next
    }

    fn rule(mut self, sentence: &str) -> Option<Rule> {
        let verdict = match self.word()? {
            "not" if self.skip(&["applicable"]) => Verdict::NotApplicable,
            word => Verdict::of_word(word)?,
        };
        let mut unless = match self.word()? {
            "if" | "when" => false,
            "unless" => true,
            _ => return None,
        };
        self.skip(&["the", "an", "a"]);
        let who = match self.word()? {
            "agent" => Some(Speaker::Agent),
            "customer" | "caller" => Some(Speaker::Customer),
            "anyone" | "anybody" | "someone" => None,
            _ => return None,
        };
        let mut verb = self.word()?;
        if verb == "never" || (matches!(verb, "does" | "did") && self.skip(&["not"])) {
            unless = !unless;
            verb = self.word()?;
        }
        let asks = match verb {
            "says" | "say" | "said" => false,
            "asks" | "ask" | "asked" => true,
            _ => return None,
        };
        let (phrases, all) = self.phrases()?;
        let window = self.window()?;
        Some(Rule { verdict, unless, who, asks, all, phrases, window, sentence: sentence.to_owned() })
    }

    /// `"a"`, `"a" or "b"`, `"a", "b" or "c"`; with `and` instead of `or` all are wanted. A mixture is not of the grammar.
    fn phrases(&mut self) -> Option<(Vec<Phrase>, bool)> {
        let (mut phrases, mut or, mut and) = (Vec::new(), false, false);
        loop {
            match self.tokens.peek() {
                Some(Token::Quoted(text)) => phrases.push(Phrase::new(text)),
                Some(Token::Word(word)) if word == "or" => or = true,
                Some(Token::Word(word)) if word == "and" => and = true,
                _ => break,
            }
            self.tokens.next();
        }
        let mixed = or && and;
        (!mixed && !phrases.is_empty()).then_some((phrases, and))
    }

    /// `within the first 3 utterances`, `within the last utterance`, or nothing.
    fn window(&mut self) -> Option<Window> {
        if self.tokens.peek().is_none() {
            return Some(Window::Whole);
        }
        if !self.skip(&["within", "in"]) {
            return None;
        }
        self.skip(&["the"]);
        let first = match self.word()? {
            "first" => true,
            "last" => false,
            _ => return None,
        };
        let count = match self.word()? {
            "utterance" | "turn" => 1,
            count => {
                let count = number(count)?;
                if !self.skip(&["utterances", "utterance", "turns", "turn"]) {
                    return None;
                }
                count
            }
        };
        self.tokens.peek().is_none().then_some(if first { Window::First(count) } else { Window::Last(count) })
    }
}

fn number(word: &str) -> Option<usize> {
    const WORDS: [&str; 10] = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    word.parse().ok().or_else(|| WORDS.iter().position(|known| *known == word).map(|at| at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Rule {
        let mut guidance = Guidance::read(text);
        assert_eq!((guidance.rules.len(), guidance.not_understood.len()), (1, 0), "{text}: {guidance:?}");
        guidance.rules.remove(0)
    }

    #[test]
    fn every_form_of_the_contract_is_read() {
        let rule = only(r#"Yes if the agent says "hello" or "good * morning"."#);
        assert_eq!((rule.verdict, rule.unless, rule.who), (Verdict::Yes, false, Some(Speaker::Agent)));
        assert_eq!((rule.phrases.len(), rule.all, rule.window), (2, false, Window::Whole));
        let rule = only(r#"No if the agent says "calm down" within the last 4 utterances."#);
        assert_eq!((rule.verdict, rule.window), (Verdict::No, Window::Last(4)));
        let rule = only(r#"Not applicable unless the customer says "refund", "money back" or "cancel"."#);
        assert_eq!((rule.verdict, rule.unless, rule.who), (Verdict::NotApplicable, true, Some(Speaker::Customer)));
        assert_eq!(rule.phrases.len(), 3);
        let rule = only(r#"Not applicable if anyone says "wrong number" within the first two utterances"#);
        assert_eq!((rule.who, rule.window), (None, Window::First(2)));
    }

    #[test]
    fn the_extensions_are_read() {
        assert!(only(r#"Yes if the agent asks "is that right"."#).asks);
        assert!(only(r#"Yes if the agent says "name" and "date of birth"."#).all);
        assert!(only(r#"No if the agent never says "thank you"."#).unless);
        assert!(!only(r#"No unless the agent does not say "thank you"."#).unless);
        let guidance = Guidance::read(r#"No if the agent says "shut up". Otherwise yes."#);
        assert_eq!((guidance.rules.len(), guidance.otherwise), (1, Some(Verdict::Yes)));
        assert_eq!(Guidance::read("Not applicable otherwise.").otherwise, Some(Verdict::NotApplicable));
    }

    #[test]
    fn periods_inside_quotes_and_numbers_end_nothing() {
        let guidance = Guidance::read(r#"Yes if the agent says "Mr. Smith. Hello". No if the agent says "v1.5"."#);
        assert_eq!(guidance.rules.len(), 2);
    }

    #[test]
    fn prose_is_no_rule_and_a_broken_rule_is_named() {
        let guidance = Guidance::read("The agent should be kind. Listen to the tone.");
        assert!(guidance.is_empty() && guidance.not_understood.is_empty());
        let guidance = Guidance::read(r#"Yes if the agent hums "la la la"."#);
        assert!(guidance.is_empty());
        assert_eq!(guidance.not_understood, [r#"Yes if the agent hums "la la la"."#]);
        let mixed = Guidance::read(r#"Yes if the agent says "a" or "b" and "c"."#);
        assert_eq!((mixed.rules.len(), mixed.not_understood.len()), (0, 1));
    }
}
