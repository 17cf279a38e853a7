//! The instructions in the languages that the plugin speaks.

/// The instructions in one language.
pub struct Words {
    /// What it is about.
    pub opening: &'static str,
    /// Before the name of the language in which rationales are written.
    pub rationales: &'static str,
    /// Before the glossary.
    pub glossary: &'static str,
}

/// The instructions in the language of a conversation (BCP 47): its first part counts. English where it is not spoken here.
pub fn of(language: &str) -> &'static Words {
    match primary(language).as_str() {
        "de" => &GERMAN,
        "es" => &SPANISH,
        "fr" => &FRENCH,
        _ => &ENGLISH,
    }
}

/// The first part of a language's tag, in lower case.
pub fn primary(language: &str) -> String {
    language.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase()
}

const ENGLISH: Words = Words {
    opening: "You evaluate a conversation between a company's agent and a customer. The user message is one JSON document: `criteria` are \
the questions to answer, `transcript` is the conversation as numbered utterances. Quotes stay in the language in which they were spoken.",
    rationales: "Write every `rationale` in this language: ",
    glossary: "Words that mean something special here: ",
};

const GERMAN: Words = Words {
    opening: "Du bewertest ein Gespräch zwischen dem Mitarbeiter einer Firma und einer Kundin oder einem Kunden. Die Nachricht ist ein \
JSON-Dokument: `criteria` sind die Fragen, `transcript` ist das Gespräch in nummerierten Äußerungen. Fragen können in einer anderen Sprache \
gestellt sein als der des Gesprächs. Zitate bleiben in der Sprache, in der sie gesprochen wurden.",
    rationales: "Schreibe jede `rationale` in dieser Sprache: ",
    glossary: "Wörter mit besonderer Bedeutung: ",
};

const SPANISH: Words = Words {
    opening: "Evalúas una conversación entre el agente de una empresa y un cliente. El mensaje es un documento JSON: `criteria` son las \
preguntas, `transcript` es la conversación en intervenciones numeradas. Las preguntas pueden estar en otro idioma que la conversación. Las \
citas se dejan en el idioma en que se dijeron.",
    rationales: "Escribe cada `rationale` en este idioma: ",
    glossary: "Palabras con un significado especial: ",
};

const FRENCH: Words = Words {
    opening: "Tu évalues une conversation entre l'agent d'une entreprise et un client. Le message est un document JSON : `criteria` sont les \
questions, `transcript` est la conversation en interventions numérotées. Les questions peuvent être dans une autre langue que la \
conversation. Les citations restent dans la langue où elles ont été dites.",
    rationales: "Écris chaque `rationale` dans cette langue : ",
    glossary: "Mots qui ont un sens particulier : ",
};
