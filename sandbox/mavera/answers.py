"""The words of the sandbox's Mavera: answers, texts and opinions, made up from the request.

The same question gets the same answer, and a persona's traits influence it, so that results differ between
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
    """A template that writes texts: its inputs in order. One that `takes_time` answers without text."""

    name: str
    category: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    takes_time: bool = False

    @property
    def inputs(self) -> tuple[str, ...]:
        return (*self.required, *self.optional)


# By their ids in strict spelling; lenient spells them with underscores.
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

# Words of a persona that make it say yes or no: its traits. Each pattern counts once.
TRAITS: Final = (
    (r"from whom most|best customers|binge|watch most of each|stand from 0 %", 0.25),
    (r"at least half|engaged|explorer", 0.12),
    (r"mobile|phone", 0.05),
    (r"desktop", -0.05),
    (r"skim|before half", -0.12),
    (r"from whom least|lower end|bounce|leave early", -0.25),
)


class Complexity(NamedTuple):
    """A kind of question: its minimum of words, its prices in credits, and the words per extra credit."""

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
    (
        r"lost_share|retention",
        "Cut or move what is shown at this moment, and announce what comes next.",
    ),
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
    """Return the part of a profile that Mavera makes up; the same name gives the same profile."""
    pains = ("Too many messages", "Too little proof", "Too long a wait", "Too much to read")
    return {
        "goals": [f"Get what {name} came for without detours"],
        "pains": [pick(name, pains)],
        "channels": [pick(name, ("email", "video", "sms", "search"))],
        "reading_level": pick(name, ("plain", "informed", "expert")),
    }


def priced(message: str) -> tuple[str, int]:
    """Return the kind of question and its price in credits: the number of words decides both."""
    words = len(message.split())
    kind = next(kind for kind in reversed(COMPLEXITIES) if words >= kind.words)
    return kind.name, min(kind.highest, kind.lowest + (words - kind.words) // kind.words_a_credit)


def advice(message: str) -> str:
    """Return Mave's answer: under the headings that the message asks for, if it does.

    Otherwise each line of the message with a figure, then a recommendation for each.
    """
    if headings := re.findall(r"^## (.+)$", message, re.MULTILINE):
        return "\n\n".join(advised(message, heading, place) for place, heading in enumerate(headings))
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


def advised(message: str, heading: str, place: int) -> str:
    """Return a section of an answer: advice, and the figure of the message's data that it rests on."""
    figures = re.findall(r'^ "(\w+)": (-?[\d.]+),?$', message, re.MULTILINE)
    task = message.splitlines()[0] if place == 0 else heading
    text = f"## {heading}\n{advice_on(task)}"
    if not figures:
        return text
    name, value = figures[place % len(figures)]
    return f"{text}\n- Rests on `{name}`: {value}."


def advice_on(fact: str) -> str:
    return next((words for about, words in ADVICE if re.search(about, fact, re.IGNORECASE)), OTHER_ADVICE)


def written(app: App, inputs: Row, persona: Row | None, voice: Row | None) -> str:
    """Return a text on an app's inputs, with the author and audience."""
    given = {name: str(inputs[name]) for name in app.inputs if inputs.get(name)}
    topic, advice_given = given.get("topic", app.name), advice_on(" ".join(given.values()))
    if app.category == "Email":
        about = (re.findall(r'"([^"]+)"', topic) or [topic])[0][:60]
        lines = [
            f"**Subject:** {about}: worth a minute",
            f"**Preview:** One next step, {given.get('tone', 'in plain words')}.",
            "Hello,",
            f"{advice_given} This text is for: {given.get('target_audience', 'everybody')}",
            "**Take the next step** (one button)",
            # Like people, an app forgets the last of what it was asked to keep.
            *re.findall(r"^> (.+)$", given.get("key_points", ""), re.MULTILINE)[:-1],
        ]
        lines = ["\n\n".join(lines), ""]
    else:
        lines = [f"# {topic}", "", *(f"- {name.replace('_', ' ')}: {value}" for name, value in given.items())]
        lines += ["", advice_given]
    lines += [f"Written for {persona['name']}."] if persona else []
    lines += [f"In the voice of {voice['label']}."] if voice else []
    return "\n".join(lines)


def study_results(personas: Sequence[Row], questions: Sequence[Row], respondents: int) -> Row:
    """Return every respondent's answer to every question, and the aggregates; personas take turns."""
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
    """Return how much a persona favors the subject of a question, 0 to 1: its traits plus its own view."""
    words = f"{persona['name']} {persona['description']}"
    traits = sum(weight for about, weight in TRAITS if re.search(about, words, re.IGNORECASE))
    view = fraction(persona["name"], question) - 0.5
    return min(1.0, max(0.0, 0.6 + traits + 0.2 * view))


def answer_of(persona: Row, question: Row, respondent: int) -> Any:
    """Return one respondent's answer, in the form of the question's type; the same every time."""
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
    """Return the aggregate of answers; open answers give themes, answers in several parts nothing."""
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
    """Return a number from 0 to 1 that depends only on its arguments."""
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
