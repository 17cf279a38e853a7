//! Dialogues of a service line as they are in life: forty to sixty turns, short ones and long ones, none like another.

use plumbline::platform::plugins::{Speaker, Utterance};

const PRODUCTS: &[&str] = &[
    "gateway",
    "router",
    "invoice",
    "booking",
    "parcel",
    "subscription",
    "boiler",
    "claim",
    "policy",
    "voucher",
    "phone contract",
    "hotel room",
    "train ticket",
    "coffee machine",
    "loan",
    "delivery slot",
];
const TROUBLES: &[&str] = &[
    "it has been down since yesterday evening and the red light does not go out",
    "I was charged twice for the same month, and nobody could tell me why",
    "the address on it is wrong, although I changed it online three weeks ago",
    "it never arrived, and the tracking page has said the same thing for six days",
    "I would like to cancel it, because we are moving to another town in January",
    "the price is not the one that your colleague promised me on the phone",
    "it makes a noise like a kettle, and then it switches itself off after ten minutes",
    "I cannot log in any more since you sent me that new password",
];
const AGENT: &[&str] = &[
    "Let me have a look at that for you, just one moment please.",
    "I am sorry to hear that, it must have been annoying to wait for so long without any word from us.",
    "Thank you for waiting. I can see the order in front of me now, and it was sent on the fourth of the month from our warehouse in the north.",
    "Could you confirm the postcode and the first line of the address for me, so that I know that I am speaking to the right person?",
    "That is correct, thank you.",
    "What I can do is to send you a new one today, and you would have it on Thursday, or I can pay the amount back to your account, which takes three to five working days, whichever suits you better.",
    "No, there is no charge for that at all.",
    "I have made a note of it, so you will not have to explain it again if you call us another time.",
    "Would you mind holding for a minute while I ask a colleague in the other department?",
    "The terms say thirty days, but since the mistake was ours I will make an exception and count from today.",
    "Is there anything else that I can help you with this afternoon?",
    "You will get an e-mail within the next hour with all that we have said, and the reference number is at the top of it.",
];
const CUSTOMER: &[&str] = &[
    "Yes.",
    "All right, thank you.",
    "I have told this to two people already, and each time it was somebody else who knew nothing about it.",
    "That would be fine, as long as it really comes on Thursday, because I am not at home on Friday.",
    "Could you say the number again, please, a little slower?",
    "I do not understand why this has to be so complicated.",
    "Well, I read the letter twice, and there it says that the first three months are free.",
    "It is the flat on the second floor, the bell with the name of my wife on it.",
    "Hm, and how long will that take?",
    "No, that was all, you have been very helpful.",
];

/// A sequence that looks like chance and is the same each time.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Below `most`.
    pub fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// The n-th dialogue.
pub fn dialogue(n: u64) -> Vec<Utterance> {
    let mut chance = Chance::new(n + 1);
    let (product, trouble) = (chance.one(PRODUCTS), chance.one(TROUBLES));
    let turns = 40 + chance.below(21);
    let mut at_ms = 0;
    let mut say = |turn: usize| {
        let is_agent = turn.is_multiple_of(2);
        let text = match turn {
            0 => format!("Good morning, you are speaking with [NAME_1], how can I help you with your {product} today?"),
            1 => format!("Hello, it is about my {product}: {trouble}."),
            // Now and then somebody speaks at length.
            _ if chance.below(12) == 0 => {
                let all = if is_agent { AGENT } else { CUSTOMER };
                (0..3 + chance.below(4)).map(|_| chance.one(all)).collect::<Vec<_>>().join(" ")
            }
            _ if is_agent => {
                format!("{} It is about the {product}, number {}.", chance.one(AGENT), chance.below(100_000))
            }
            _ => chance.one(CUSTOMER).to_owned(),
        };
        let (start_ms, long) = (at_ms, 400 + 60 * text.len() as u64);
        at_ms += long + 200;
        let speaker = if is_agent { Speaker::Agent } else { Speaker::Customer };
        Utterance { n: turn as u32 + 1, speaker, start_ms: Some(start_ms), end_ms: Some(start_ms + long), text }
    };
    (0..turns).map(&mut say).collect()
}
