//! Languages: providers name them by codes of their own and in English, everything else here by BCP 47.

/// The languages that OpenAI's recogniser names in English, with their codes.
const NAMES: &[(&str, &str)] = &[
    ("afrikaans", "af"),
    ("albanian", "sq"),
    ("amharic", "am"),
    ("arabic", "ar"),
    ("armenian", "hy"),
    ("assamese", "as"),
    ("azerbaijani", "az"),
    ("bashkir", "ba"),
    ("basque", "eu"),
    ("belarusian", "be"),
    ("bengali", "bn"),
    ("bosnian", "bs"),
    ("breton", "br"),
    ("bulgarian", "bg"),
    ("burmese", "my"),
    ("cantonese", "yue"),
    ("castilian", "es"),
    ("catalan", "ca"),
    ("chinese", "zh"),
    ("croatian", "hr"),
    ("czech", "cs"),
    ("danish", "da"),
    ("dutch", "nl"),
    ("english", "en"),
    ("estonian", "et"),
    ("faroese", "fo"),
    ("finnish", "fi"),
    ("flemish", "nl"),
    ("french", "fr"),
    ("galician", "gl"),
    ("georgian", "ka"),
    ("german", "de"),
    ("greek", "el"),
    ("gujarati", "gu"),
    ("haitian", "ht"),
    ("haitian creole", "ht"),
    ("hausa", "ha"),
    ("hawaiian", "haw"),
    ("hebrew", "he"),
    ("hindi", "hi"),
    ("hungarian", "hu"),
    ("icelandic", "is"),
    ("indonesian", "id"),
    ("italian", "it"),
    ("japanese", "ja"),
    ("javanese", "jv"),
    ("kannada", "kn"),
    ("kazakh", "kk"),
    ("khmer", "km"),
    ("korean", "ko"),
    ("lao", "lo"),
    ("latin", "la"),
    ("latvian", "lv"),
    ("letzeburgesch", "lb"),
    ("lingala", "ln"),
    ("lithuanian", "lt"),
    ("luxembourgish", "lb"),
    ("macedonian", "mk"),
    ("malagasy", "mg"),
    ("malay", "ms"),
    ("malayalam", "ml"),
    ("maltese", "mt"),
    ("mandarin", "zh"),
    ("maori", "mi"),
    ("marathi", "mr"),
    ("moldavian", "ro"),
    ("moldovan", "ro"),
    ("mongolian", "mn"),
    ("myanmar", "my"),
    ("nepali", "ne"),
    ("norwegian", "no"),
    ("nynorsk", "nn"),
    ("occitan", "oc"),
    ("panjabi", "pa"),
    ("pashto", "ps"),
    ("persian", "fa"),
    ("polish", "pl"),
    ("portuguese", "pt"),
    ("punjabi", "pa"),
    ("pushto", "ps"),
    ("romanian", "ro"),
    ("russian", "ru"),
    ("sanskrit", "sa"),
    ("serbian", "sr"),
    ("shona", "sn"),
    ("sindhi", "sd"),
    ("sinhala", "si"),
    ("sinhalese", "si"),
    ("slovak", "sk"),
    ("slovenian", "sl"),
    ("somali", "so"),
    ("spanish", "es"),
    ("sundanese", "su"),
    ("swahili", "sw"),
    ("swedish", "sv"),
    ("tagalog", "tl"),
    ("tajik", "tg"),
    ("tamil", "ta"),
    ("tatar", "tt"),
    ("telugu", "te"),
    ("thai", "th"),
    ("tibetan", "bo"),
    ("turkish", "tr"),
    ("turkmen", "tk"),
    ("ukrainian", "uk"),
    ("urdu", "ur"),
    ("uzbek", "uz"),
    ("valencian", "ca"),
    ("vietnamese", "vi"),
    ("welsh", "cy"),
    ("yiddish", "yi"),
    ("yoruba", "yo"),
];

/// A provider's word for a language as BCP 47: `en_us` and `en-US` are `en-US`, `english` is `en`. None when it is neither
/// a code nor a known name.
pub(super) fn tag(word: &str) -> Option<String> {
    let word = word.trim().to_lowercase();
    if let Some((_, code)) = NAMES.iter().find(|(name, _)| *name == word) {
        return Some((*code).to_owned());
    }
    let mut parts = word.split(['_', '-']);
    let primary =
        parts.next().filter(|code| (2..=3).contains(&code.len()) && code.chars().all(|c| c.is_ascii_lowercase()))?;
    let mut tag = primary.to_owned();
    for part in parts {
        if !(2..=8).contains(&part.len()) || !part.chars().all(|c| c.is_ascii_alphanumeric()) {
            return None;
        }
        tag.push('-');
        match part {
            // AssemblyAI's word for the United Kingdom.
            "uk" => tag.push_str("GB"),
            region if region.len() == 2 => tag.push_str(&region.to_uppercase()),
            other => tag.push_str(other),
        }
    }
    Some(tag)
}

/// The language alone, without region or script: `en` of `en-US`.
pub(super) fn primary(tag: &str) -> String {
    tag.split(['_', '-']).next().unwrap_or(tag).to_lowercase()
}

/// AssemblyAI's code: regions are known of English alone.
pub(super) fn assemblyai(tag: &str) -> String {
    let lower = tag.to_lowercase().replace('-', "_");
    match lower.as_str() {
        "en_us" | "en_au" | "en_uk" => lower,
        "en_gb" => "en_uk".to_owned(),
        _ => primary(tag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_becomes_a_tag_and_what_is_none_does_not() {
        for (word, expected) in [
            ("english", Some("en")),
            ("German", Some("de")),
            ("en", Some("en")),
            ("en_us", Some("en-US")),
            ("en_uk", Some("en-GB")),
            ("pt-br", Some("pt-BR")),
            ("es-419", Some("es-419")),
            ("yue", Some("yue")),
            ("", None),
            ("klingon", None),
            ("e", None),
            ("en_", None),
            ("en_us;drop", None),
        ] {
            assert_eq!(tag(word).as_deref(), expected, "{word}");
        }
    }

    #[test]
    fn providers_get_the_codes_that_they_know() {
        let codes = ["en-US", "en-GB", "en_au", "en-IN", "en", "de-AT", "pt-BR"].map(assemblyai);
        assert_eq!(codes, ["en_us", "en_uk", "en_au", "en", "en", "de", "pt"]);
        assert_eq!([primary("en-US"), primary("DE_at"), primary("yue")], ["en", "de", "yue"]);
    }

    #[test]
    fn names_are_sorted_and_their_codes_are_tags() {
        assert!(NAMES.is_sorted_by_key(|(name, _)| name));
        assert!(NAMES.iter().all(|(_, code)| tag(code).as_deref() == Some(code)));
    }
}
