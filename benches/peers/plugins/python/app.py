"""benches/plugins/scorer.rs in Python, made a component by componentize-py."""

import json

from wit_world import exports
from wit_world.exports.scoring import CriterionScore, Insight, InsightKind, ScoreOutput
from wit_world.imports.types import AutoFail, Description, Speaker, Verdict

FULL_SCORE = 10_000
SILENCE_MS = 3_000
SHOWN = 20


class Heard:
    def __init__(self, disclosures):
        self.empathy, self.risk, self.monologues = [], [], []
        self.disclosed = [False] * disclosures
        self.agent_ms = self.customer_ms = self.silence_ms = self.interruptions = 0


def compute(settings, found):
    heard = listen(settings, found.utterances)
    criteria, overall = weigh(found)
    missing = heard.disclosed.count(False)
    deducted = settings["deduct_monologue"] * len(heard.monologues) + settings["deduct_disclosure"] * missing
    if overall is not None:
        overall = max(0, overall - deducted)
    spoken = heard.agent_ms + heard.customer_ms
    metadata = [
        ("talk_permille", str(heard.agent_ms * 1_000 // spoken if spoken else 0)),
        ("silence_ms", str(heard.silence_ms)),
        ("interruptions", str(heard.interruptions)),
    ]
    return ScoreOutput(criteria, overall, insights(heard, missing), metadata)


def listen(settings, utterances):
    empathy, risk = phrases(settings["empathy"]), phrases(settings["risk"])
    disclosures = phrases(settings["disclosures"])
    heard = Heard(len(disclosures))
    words, turn, latest_end, previous = 0, [], 0, None

    def end_turn():
        nonlocal words, turn
        if words > settings["longest_turn_words"]:
            heard.monologues.append((words, turn))
        words, turn = 0, []

    for utterance in utterances:
        start = latest_end if utterance.start_ms is None else utterance.start_ms
        end = latest_end if utterance.end_ms is None else utterance.end_ms
        text = utterance.text.lower()
        if utterance.speaker == Speaker.AGENT:
            heard.agent_ms += max(0, end - start)
            if any(is_in(phrase, text) for phrase in empathy):
                heard.empathy.append(utterance.n)
            for at, disclosure in enumerate(disclosures):
                if not heard.disclosed[at] and is_in(disclosure, text):
                    heard.disclosed[at] = True
            if start < latest_end and previous == Speaker.CUSTOMER:
                heard.interruptions += 1
            words += sum(1 for word in text.split(" ") if word)
            turn.append(utterance.n)
        elif utterance.speaker == Speaker.CUSTOMER:
            heard.customer_ms += max(0, end - start)
            if any(is_in(phrase, text) for phrase in risk):
                heard.risk.append(utterance.n)
            end_turn()
        if start > latest_end + SILENCE_MS:
            heard.silence_ms += start - latest_end
        latest_end = max(latest_end, end)
        previous = utterance.speaker
    end_turn()
    return heard


def weigh(found):
    criteria, total, weights, failed = [], 0, 0, False
    for section in found.scorecard.sections:
        points, most, fails = 0, 0, False
        for criterion in section.criteria:
            answer = next((one for one in found.answers if one.criterion == criterion.key), None)
            if answer is None:
                continue
            score = worth(answer, len(found.utterances))
            if score is None:
                criteria.append(CriterionScore(criterion.key, None, None, None))
                continue
            passed = score >= 6_000
            fails = fails or (not passed and criterion.auto_fail == AutoFail.SECTION)
            failed = failed or (not passed and criterion.auto_fail == AutoFail.EVALUATION)
            points += score * criterion.weight
            most += criterion.weight
            criteria.append(CriterionScore(criterion.key, score, passed, None if passed else answer.rationale))
        if most:
            total += 0 if fails else points // most * section.weight
            weights += section.weight
    if not weights:
        return criteria, None
    return criteria, 0 if failed else total // weights


def worth(answer, utterances):
    if answer.verdict not in (Verdict.YES, Verdict.NO):
        return None
    full = FULL_SCORE if answer.verdict == Verdict.YES else 0
    sure = full * (7_500 + answer.confidence // 4) // FULL_SCORE
    real = sum(1 for one in answer.evidence if one.utterance <= utterances and one.quote)
    return sure * real // len(answer.evidence) if answer.evidence else sure * 9 // 10


def insights(heard, missing):
    found = []

    def insight(kind, text, positions):
        found.append(Insight(kind, text, None, positions[:SHOWN]))

    if heard.empathy:
        insight(InsightKind.STRENGTH, f"The agent showed empathy in {len(heard.empathy)} utterances.", heard.empathy)
    if heard.risk:
        text = f"The customer spoke of leaving or complaining in {len(heard.risk)} utterances."
        insight(InsightKind.RISK, text, heard.risk)
    if missing:
        insight(InsightKind.RISK, f"{missing} disclosures were not made.", [])
    for words, positions in heard.monologues:
        insight(InsightKind.OTHER, f"The agent spoke {words} words before anybody else had a turn.", positions)
    return found


def phrases(words):
    return [phrase for phrase in (one.strip().lower() for one in words) if phrase]


def is_in(phrase, text):
    """Whole words alone."""
    at = text.find(phrase)
    while at >= 0:
        end = at + len(phrase)
        before, after = text[at - 1 : at] if at else "", text[end : end + 1]
        if not (before.isalnum() and phrase[0].isalnum()) and not (after.isalnum() and phrase[-1].isalnum()):
            return True
        at = text.find(phrase, at + 1)
    return False


class Scoring(exports.Scoring):
    def describe(self):
        return Description("bench", "1.0.0", "What benches/plugins measures.", None, [])

    def validate_settings(self, settings):
        pass

    def score(self, settings, input):
        return compute(json.loads(settings), input)
