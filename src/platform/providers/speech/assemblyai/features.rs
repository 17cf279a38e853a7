//! What AssemblyAI is asked for beyond the words themselves, and what it would refuse, known before anything is sent.

/// Words in one key term at most.
const LONGEST_KEYTERM_WORDS: usize = 6;
/// Key terms at most, by the provider's larger models and by its smaller one.
const MOST_KEYTERMS: usize = 1_000;
const MOST_KEYTERMS_OF_UNIVERSAL_2: usize = 200;

/// The sorts of personal data that the provider can redact, in its words.
const PII_POLICIES: [&str; 44] = [
    "account_number",
    "banking_information",
    "blood_type",
    "credit_card_cvv",
    "credit_card_expiration",
    "credit_card_number",
    "date",
    "date_interval",
    "date_of_birth",
    "drivers_license",
    "drug",
    "duration",
    "email_address",
    "event",
    "filename",
    "gender_sexuality",
    "healthcare_number",
    "injury",
    "ip_address",
    "language",
    "location",
    "marital_status",
    "medical_condition",
    "medical_process",
    "money_amount",
    "nationality",
    "number_sequence",
    "occupation",
    "organization",
    "passport_number",
    "password",
    "person_age",
    "person_name",
    "phone_number",
    "physical_attribute",
    "political_affiliation",
    "religion",
    "statistics",
    "time",
    "url",
    "us_social_security_number",
    "username",
    "vehicle_id",
    "zodiac_sign",
];

/// What is asked for beyond the words. The provider charges for each of them, so all are off by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AssemblyAiFeatures {
    /// How each sentence sounds.
    pub sentiment: bool,
    /// Names, numbers and the like in the words.
    pub entities: bool,
    /// Personal data is taken out of the words before they reach us. The words are then gone for good: nothing here asks
    /// for the unredacted ones.
    pub redaction: Option<PiiRedaction>,
    /// The languages that recordings are in, where none is named for one; empty for any (BCP 47).
    pub expected_languages: Vec<String>,
    /// A language detected with less confidence than this (0 to 1) is an error and not a guess.
    pub least_language_confidence: Option<f32>,
}

/// Which personal data the provider takes out, and what stands in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PiiRedaction {
    /// The sorts, in the provider's words: `person_name`, `credit_card_number`, …
    pub policies: Vec<String>,
    /// What stands in the place of the words.
    pub substitute: PiiSubstitute,
}

/// What stands where personal data was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PiiSubstitute {
    /// The sort: `[PERSON_NAME]`.
    EntityName,
    /// A `#` for each letter.
    Hash,
}

impl PiiSubstitute {
    /// The provider's word.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::EntityName => "entity_name",
            Self::Hash => "hash",
        }
    }
}

impl AssemblyAiFeatures {
    /// Refuses what the provider would refuse of every recording.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(redaction) = &self.redaction {
            if redaction.policies.is_empty() {
                return Err("personal data is to be redacted, and no sort of it is named".to_owned());
            }
            if let Some(unknown) = redaction.policies.iter().find(|name| !PII_POLICIES.contains(&name.as_str())) {
                return Err(format!("{unknown:?} is no sort of personal data that the provider redacts"));
            }
        }
        if self.least_language_confidence.is_some_and(|least| !(0.0..=1.0).contains(&least)) {
            return Err("the least confidence in a detected language is between 0 and 1".to_owned());
        }
        Ok(())
    }
}

/// Refuses a vocabulary that the provider would refuse. The terms are not repeated: they may be customers' names.
pub(super) fn check_keyterms(keyterms: &[String], models: &[String]) -> Result<(), String> {
    let small = models.iter().all(|model| model == "universal-2");
    let most = if small { MOST_KEYTERMS_OF_UNIVERSAL_2 } else { MOST_KEYTERMS };
    if keyterms.len() > most {
        return Err(format!("the vocabulary has {} terms and the provider takes {most}", keyterms.len()));
    }
    let words = |term: &String| term.split_whitespace().count();
    match keyterms.iter().position(|term| !(1..=LONGEST_KEYTERM_WORDS).contains(&words(term))) {
        Some(at) => Err(format!("term {} of the vocabulary does not have one to six words", at + 1)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacting(policies: &[&str]) -> AssemblyAiFeatures {
        let policies = policies.iter().map(|&policy| policy.to_owned()).collect();
        let redaction = Some(PiiRedaction { policies, substitute: PiiSubstitute::Hash });
        AssemblyAiFeatures { redaction, ..AssemblyAiFeatures::default() }
    }

    #[test]
    fn what_the_provider_would_refuse_is_refused_at_once() {
        assert_eq!(AssemblyAiFeatures::default().check(), Ok(()));
        assert_eq!(redacting(&["person_name", "zodiac_sign"]).check(), Ok(()));
        assert!(redacting(&[]).check().is_err());
        assert!(redacting(&["person_name", "shoe_size"]).check().unwrap_err().contains("shoe_size"));
        for least in [-0.1, 1.1, f32::NAN] {
            let features =
                AssemblyAiFeatures { least_language_confidence: Some(least), ..AssemblyAiFeatures::default() };
            assert!(features.check().is_err(), "{least}");
        }
    }

    #[test]
    fn a_vocabulary_has_bounds() {
        let (small, large) = (vec!["universal-2".to_owned()], vec!["universal-3-5-pro".to_owned()]);
        let terms = |count: usize| vec!["Plumbline Premium".to_owned(); count];
        assert!(check_keyterms(&terms(200), &small).is_ok() && check_keyterms(&terms(201), &small).is_err());
        assert!(check_keyterms(&terms(1_000), &large).is_ok() && check_keyterms(&terms(1_001), &large).is_err());
        let refused = check_keyterms(&["fine".into(), "a b c d e f g".into()], &large).unwrap_err();
        assert!(refused.contains("term 2") && !refused.contains("a b"), "{refused}");
        assert!(check_keyterms(&[" ".into()], &large).is_err());
    }
}
