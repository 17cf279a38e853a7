// The scorer that `script/bench plugins` measures, written once for all Rust variants: native, the guest of this host, Extism's guest and the
// subprocess each `include!` it where the types of the contract are in scope. `scorer.ts` and `scorer.py` (benches/peers/plugins) say the same.
//
// It does what a customer's scorer would do: reads its settings, looks for phrases in every utterance, weighs the answers by confidence and
// evidence, deducts for monologues and missing disclosures, and tells what stands out. Whole numbers alone, so that all languages agree.

/// 100.00, in hundredths.
const FULL_SCORE: u64 = 10_000;
/// A shorter pause is none, in milliseconds.
const SILENCE_MS: u64 = 3_000;
/// How many utterances an insight points at.
const SHOWN: usize = 20;

/// What an organization sets. Points are in hundredths.
#[derive(serde::Deserialize)]
pub struct Settings {
    empathy: Vec<String>,
    risk: Vec<String>,
    disclosures: Vec<String>,
    longest_turn_words: usize,
    deduct_monologue: u64,
    deduct_disclosure: u64,
}

/// What the conversation showed.
#[derive(Default)]
struct Heard {
    empathy: Vec<u32>,
    risk: Vec<u32>,
    disclosed: Vec<bool>,
    monologues: Vec<(usize, Vec<u32>)>,
    agent_ms: u64,
    customer_ms: u64,
    silence_ms: u64,
    interruptions: u64,
}

/// Scores one evaluation.
pub fn score(settings: &Settings, input: &ScoreInput) -> ScoreOutput {
    let heard = listen(settings, &input.utterances);
    let (criteria, weighed) = weigh(input);
    let missing = heard.disclosed.iter().filter(|said| !**said).count() as u64;
    let deducted = settings.deduct_monologue * heard.monologues.len() as u64 + settings.deduct_disclosure * missing;
    let overall = weighed.map(|score| score.saturating_sub(deducted) as u32);
    let talk = (heard.agent_ms * 1_000).checked_div(heard.agent_ms + heard.customer_ms).unwrap_or(0);
    let metadata = vec![
        ("talk_permille".to_owned(), talk.to_string()),
        ("silence_ms".to_owned(), heard.silence_ms.to_string()),
        ("interruptions".to_owned(), heard.interruptions.to_string()),
    ];
    ScoreOutput { criteria, overall, insights: insights(&heard, missing), metadata }
}

/// One pass over the transcript.
fn listen(settings: &Settings, utterances: &[Utterance]) -> Heard {
    let (empathy, risk) = (phrases(&settings.empathy), phrases(&settings.risk));
    let disclosures = phrases(&settings.disclosures);
    let mut heard = Heard { disclosed: vec![false; disclosures.len()], ..Heard::default() };
    let mut turn = (0, Vec::new());
    let mut latest_end = 0;
    let mut previous = None;
    for utterance in utterances {
        let (start, end) = (utterance.start_ms.unwrap_or(latest_end), utterance.end_ms.unwrap_or(latest_end));
        let text = &utterance.text;
        match utterance.speaker {
            Speaker::Agent => {
                heard.agent_ms += end.saturating_sub(start);
                if any(&empathy, text) {
                    heard.empathy.push(utterance.n);
                }
                for (said, disclosure) in heard.disclosed.iter_mut().zip(&disclosures) {
                    *said = *said || disclosure.is_in(text);
                }
                if start < latest_end && previous == Some(Speaker::Customer) {
                    heard.interruptions += 1;
                }
                turn.0 += text.split(' ').filter(|word| !word.is_empty()).count();
                turn.1.push(utterance.n);
            }
            Speaker::Customer => {
                heard.customer_ms += end.saturating_sub(start);
                if any(&risk, text) {
                    heard.risk.push(utterance.n);
                }
                end_turn(&mut turn, settings, &mut heard);
            }
            _ => {}
        }
        if start > latest_end + SILENCE_MS {
            heard.silence_ms += start - latest_end;
        }
        latest_end = latest_end.max(end);
        previous = Some(utterance.speaker);
    }
    end_turn(&mut turn, settings, &mut heard);
    heard
}

fn end_turn(turn: &mut (usize, Vec<u32>), settings: &Settings, heard: &mut Heard) {
    if turn.0 > settings.longest_turn_words {
        heard.monologues.push((turn.0, turn.1.clone()));
    }
    turn.0 = 0;
    turn.1.clear();
}

/// The score of each criterion, and of all: the mean of the sections by weight, each the mean of its criteria by weight.
fn weigh(input: &ScoreInput) -> (Vec<CriterionScore>, Option<u64>) {
    let mut criteria = Vec::new();
    let (mut sum, mut weights, mut failed) = (0, 0, false);
    for section in &input.scorecard.sections {
        let (mut points, mut most, mut fails) = (0, 0, false);
        for criterion in &section.criteria {
            let Some(answer) = input.answers.iter().find(|answer| answer.criterion == criterion.key) else { continue };
            let Some(score) = worth(answer, input.utterances.len()) else {
                criteria.push(CriterionScore { key: criterion.key.clone(), score: None, passed: None, note: None });
                continue;
            };
            let passed = score >= 6_000;
            fails |= !passed && matches!(criterion.auto_fail, AutoFail::Section);
            failed |= !passed && matches!(criterion.auto_fail, AutoFail::Evaluation);
            points += score * u64::from(criterion.weight);
            most += u64::from(criterion.weight);
            let note = (!passed).then(|| answer.rationale.clone());
            let key = criterion.key.clone();
            criteria.push(CriterionScore { key, score: Some(score as u32), passed: Some(passed), note });
        }
        if let Some(section_score) = points.checked_div(most) {
            sum += if fails { 0 } else { section_score * u64::from(section.weight) };
            weights += u64::from(section.weight);
        }
    }
    let overall = u64::checked_div(sum, weights);
    (criteria, if failed { overall.map(|_| 0) } else { overall })
}

/// A verdict by its confidence and the share of its evidence that points into the transcript.
fn worth(answer: &Answer, utterances: usize) -> Option<u64> {
    let full = match answer.verdict {
        Verdict::Yes => FULL_SCORE,
        Verdict::No => 0,
        _ => return None,
    };
    let sure = full * (7_500 + u64::from(answer.confidence) / 4) / FULL_SCORE;
    let real = answer.evidence.iter().filter(|one| one.utterance as usize <= utterances && !one.quote.is_empty()).count();
    Some((sure * real as u64).checked_div(answer.evidence.len() as u64).unwrap_or(sure * 9 / 10))
}

fn insights(heard: &Heard, missing: u64) -> Vec<Insight> {
    let shown = |positions: &[u32]| positions.iter().copied().take(SHOWN).collect();
    let insight = |kind, text, positions: &[u32]| Insight { kind, text, criterion: None, utterances: shown(positions) };
    let mut found = Vec::new();
    if !heard.empathy.is_empty() {
        let text = format!("The agent showed empathy in {} utterances.", heard.empathy.len());
        found.push(insight(InsightKind::Strength, text, &heard.empathy));
    }
    if !heard.risk.is_empty() {
        let text = format!("The customer spoke of leaving or complaining in {} utterances.", heard.risk.len());
        found.push(insight(InsightKind::Risk, text, &heard.risk));
    }
    if missing > 0 {
        found.push(insight(InsightKind::Risk, format!("{missing} disclosures were not made."), &[]));
    }
    for (words, positions) in &heard.monologues {
        let text = format!("The agent spoke {words} words before anybody else had a turn.");
        found.push(insight(InsightKind::Other, text, positions));
    }
    found
}

/// Phrases of the settings, made ready to be looked for.
fn phrases(words: &[String]) -> Vec<Phrase> {
    words.iter().filter_map(|words| Phrase::new(words)).collect()
}

fn any(phrases: &[Phrase], text: &str) -> bool {
    phrases.iter().any(|phrase| phrase.is_in(text))
}
