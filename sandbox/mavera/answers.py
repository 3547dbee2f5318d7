"""What the sandbox's Mavera says: answers, texts and opinions, made up from what it was asked.

The same question gets the same answer, and a persona's traits move it, so that results differ between
personas and questions and can be checked.
"""

import hashlib
import json
import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

Row = dict[str, Any]


class App(NamedTuple):
    """A template that writes texts: its inputs in their order. One that `takes_time` answers without text."""

    name: str
    category: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    takes_time: bool = False

    @property
    def inputs(self) -> tuple[str, ...]:
        return (*self.required, *self.optional)


# By their ids as strict writes them; lenient writes them with underscores.
APPS: Final[Mapping[str, App]] = {
    "blog-post-generator": App(
        "Blog post", "Content", ("topic",), ("target_audience", "tone", "length", "key_points")
    ),
    "email-writer": App("E-mail", "Email", ("topic", "target_audience"), ("tone", "length", "key_points")),
    "social-post": App("Social post", "Social", ("topic", "platform"), ("tone",)),
    "long-form-article": App(
        "Long article", "Content", ("topic", "key_points"), ("target_audience", "tone"), takes_time=True
    ),
}

# What in a persona's words makes it say yes, or no: its traits. Each pattern counts once.
TRAITS: Final = (
    (r"from whom most|binge|watch most of each|stand from 0 %", 0.25),
    (r"at least half|engaged|explorer", 0.12),
    (r"mobile|phone", 0.05),
    (r"desktop", -0.05),
    (r"skim|before half", -0.12),
    (r"from whom least|bounce|leave early", -0.25),
)


class Complexity(NamedTuple):
    """A kind of question: from how many words on, its prices in credits, and the words that one more buys."""

    name: str
    words: int
    lowest: int
    highest: int
    words_a_credit: int


COMPLEXITIES: Final = (
    Complexity("SIMPLE", 0, 10, 15, 8),
    Complexity("MODERATE", 40, 20, 30, 10),
    Complexity("COMPLEX", 150, 30, 50, 15),
    Complexity("STRATEGIC", 450, 40, 75, 20),
)

ADVICE: Final = (
    (r"mobile|phone|tablet", "Lead with one idea a screen and a single large button."),
    (r"desktop|webmail", "Give the full argument in one mail and let the links carry the next step."),
    (r"churn|lapse|risk", "Win back before selling: one reason to return, no discount in the first message."),
    (r"overlap|shared|jaccard", "Merge the audiences or cap their sends: the same people are asked twice."),
    (r"clv|spend|value|tier|order", "Protect the relationship: early access and service before price."),
    (r"skim|bounce|casual", "Put the promise into the first ten seconds and cut the introduction."),
    (r"watch|view|video|binge", "Offer the next chapter at the end of the current one."),
)

OTHER_ADVICE: Final = "Test one change against the present practice before rolling it out."

OPINIONS: Final = (
    "Say what it costs before anything else.",
    "Show the two side by side.",
    "Let me try it before I decide.",
    "Ask me less often.",
    "Tell me who else uses it.",
)


def imagined(name: str) -> Row:
    """The part of a profile that Mavera thinks up by itself; the same name gives the same."""
    pains = ("Too many messages", "Too little proof", "Too long a wait", "Too much to read")
    return {
        "goals": [f"Get what {name} came for without detours"],
        "pains": [pick(name, pains)],
        "channels": [pick(name, ("email", "video", "sms", "search"))],
        "reading_level": pick(name, ("plain", "informed", "expert")),
    }


def priced(message: str) -> tuple[str, int]:
    """What kind of question a message is, and its price in credits: its number of words decides both."""
    words = len(message.split())
    kind = next(kind for kind in reversed(COMPLEXITIES) if words >= kind.words)
    return kind.name, min(kind.highest, kind.lowest + (words - kind.words) // kind.words_a_credit)


def advice(message: str) -> str:
    """Mave's answer: each line of the message that holds a figure, then a recommendation for each of them."""
    facts = [line.strip(" -*#\t") for line in message.splitlines() if re.search(r"\d", line)]
    recommendations = [f"- {re.split('[:,;.]', fact, maxsplit=1)[0]}: {advice_on(fact)}" for fact in facts]
    return "\n".join(
        [
            "## What the figures say",
            *(f"- {fact}" for fact in facts or ["No figure was given."]),
            "",
            "## What to do",
            *(recommendations or [f"- {OTHER_ADVICE}"]),
        ]
    )


def advice_on(fact: str) -> str:
    return next((words for about, words in ADVICE if re.search(about, fact, re.IGNORECASE)), OTHER_ADVICE)


def written(app: App, inputs: Row, persona: Row | None, voice: Row | None) -> str:
    """A text on what an app was given: a line for each input, advice on it, and for and as whom it speaks."""
    given = {name: str(inputs[name]) for name in app.inputs if inputs.get(name)}
    lines = [f"# {given.get('topic', app.name)}", ""]
    lines += [f"- {name.replace('_', ' ')}: {value}" for name, value in given.items()]
    lines += ["", advice_on(" ".join(given.values()))]
    lines += [f"Written for {persona['name']}."] if persona else []
    lines += [f"In the voice of {voice['label']}."] if voice else []
    return "\n".join(lines)


def study_results(personas: Sequence[Row], questions: Sequence[Row], respondents: int) -> Row:
    """Every respondent's answer to every question, and what they add up to; personas take turns."""
    results = []
    for question in questions:
        rows = []
        for respondent in range(1, respondents + 1):
            persona = personas[(respondent - 1) % len(personas)]
            answer = answer_of(persona, question, respondent)
            rows.append(
                {
                    "respondent": respondent,
                    "persona_id": persona["id"],
                    "persona_name": persona["name"],
                    "answer": answer,
                    "reasoning": f"As {persona['name']} I weigh what it asks of me: {shown(answer)}.",
                }
            )
        asked = {field: question[field] for field in ("order", "type", "question")}
        results.append(
            {
                "question_id": question["id"],
                **asked,
                "aggregate": aggregate(question, [row["answer"] for row in rows]),
                "responses": rows,
            }
        )
    return {"questions": results}


def inclination(persona: Row, question: str) -> float:
    """How far a persona is for what a question asks, 0 to 1: its traits, and its own view of this one."""
    words = f"{persona['name']} {persona['description']}"
    traits = sum(weight for about, weight in TRAITS if re.search(about, words, re.IGNORECASE))
    view = fraction(persona["name"], question) - 0.5
    return min(1.0, max(0.0, 0.6 + traits + 0.2 * view))


def answer_of(persona: Row, question: Row, respondent: int) -> Any:
    """One respondent's answer, in the form of the question's type; asked again, it is the same."""
    text, options = question["question"], question.get("options", [])
    liking = min(1.0, max(0.0, inclination(persona, text) + 0.5 * (fraction(text, respondent) - 0.5)))
    ranked = sorted(
        options, key=lambda option: fraction(persona["name"], text, option) + fraction(respondent, option) / 2
    )
    match question["type"]:
        case "NPS":
            return round(10 * liking)
        case "YES_NO":
            return liking >= 0.5
        case "OPEN_ENDED":
            return pick(f"{persona['name']} {text} {respondent}", OPINIONS)
        case "MULTIPLE_CHOICE":
            return ranked[:2] if question.get("allow_multiple") else ranked[0]
        case "RANKING":
            return ranked
        case "CONJOINT":
            return ranked[0]
        case "MAX_DIFF":
            return {"best": ranked[0], "worst": ranked[-1]}
        case "MATRIX":
            return {
                row: on_scale(question, (liking + fraction(persona["name"], row)) / 2)
                for row in question["rows"]
            }
    return on_scale(question, liking)


def on_scale(question: Row, liking: float) -> int:
    low, high = int(question["scale"]["min"]), int(question["scale"]["max"])
    return round(low + liking * (high - low))


def aggregate(question: Row, answers: Sequence[Any]) -> Row | None:
    """What answers add up to; open answers give themes, answers in several parts nothing."""
    if all(type(answer) is int for answer in answers):
        found: Row = {
            "mean": round(statistics.fmean(answers), 2),
            "median": statistics.median(answers),
            "standard_deviation": round(statistics.stdev(answers), 2),
            "distribution": {str(answer): count for answer, count in sorted(Counter(answers).items())},
        }
        if question["type"] == "NPS":
            promoters = sum(answer >= 9 for answer in answers)
            detractors = sum(answer <= 6 for answer in answers)
            found |= {
                "promoters": promoters,
                "passives": len(answers) - promoters - detractors,
                "detractors": detractors,
                "nps": round(100 * (promoters - detractors) / len(answers)),
            }
        return found
    if question["type"] == "OPEN_ENDED":
        return {
            "themes": [{"theme": theme, "count": count} for theme, count in Counter(answers).most_common()]
        }
    if all(isinstance(answer, str | bool) for answer in answers):
        return {"distribution": {shown(answer): count for answer, count in Counter(answers).most_common()}}
    return None


def shown(answer: object) -> str:
    return answer if isinstance(answer, str) else json.dumps(answer)


def fraction(*about: object) -> float:
    """A number from 0 to 1 that hangs on what it is about alone."""
    return number_from("|".join(map(str, about))) / 2**32


def sources_for(message: str) -> list[Row]:
    topic = pick(message, ("attention", "loyalty", "reach", "retention"))
    return [
        {
            "id": f"src_{topic}_{kind}",
            "title": f"{title} {topic}",
            "url": f"https://{kind}.example.org/{topic}",
            "snippet": f"{title} {topic}: figures and methods.",
            "source_type": kind,
            "domain": f"{kind}.example.org",
        }
        for kind, title in (("web", "A survey of"), ("news", "New findings on"))
    ]


def pick(text: str, choices: Sequence[str]) -> str:
    return choices[number_from(text) % len(choices)]


def number_from(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
