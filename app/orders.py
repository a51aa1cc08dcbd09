"""What a user can say to a campaign: lines and slash commands, the same at a terminal, on a pipe and from the page.

`understand` reads a typed line; `carry_out` hands it to the campaign in this process and says what will happen;
`order_of` and `control_of` translate to and from the table by which other processes speak to it. Pure, but for what
`carry_out` does to the inbox. Questions that only look (`/show`, `/diff`, ...) are answered by `app/lookups.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from move37.agents.approval import in_words
from move37.agents.budget import Expenses, refused
from move37.agents.inbox import Inbox
from move37.agents.roles import MEMBERS
from move37.app.ids import is_id, written_out
from move37.app.limits import change_of, spelled
from move37.app.pace import about
from move37.app.text import one_line
from move37.lab.archive.controls import Control, ControlKind

LONGEST = 8_000  # characters of one line; more is cut
HELP: tuple[tuple[str, str], ...] = (
    ("any line", "the next speaker hears it and answers"),
    ("/ask AGENT TEXT", "the same, for one of Researcher, Critic, Engineer, Debugger, Analyst"),
    ("/propose TEXT", "hand a hypothesis, or an idea of the pool by its id, to the next experiment"),
    ("/approve [ID]", "let what waits for you go on; without an id the oldest"),
    ("/veto [ID] REASON", "end what waits for you; without an id the oldest, or else the newest experiment"),
    ("/pin WORD", "build on this experiment, baseline or family from now on"),
    ("/ban WORD", "never build on it from now on"),
    ("/budget LIMITS", "new totals: 24, or 24 time 8h tokens 2m cost 5; what is not named stays"),
    ("/undo", "take the newest /pin or /ban back"),
    ("/interrupt", "whoever speaks begins anew, and hears what was typed meanwhile"),
    ("/pause", "no new turn and no new job; what runs goes on, the clock stands still"),
    ("/resume", "go on"),
    ("/stop", "end the campaign; `move37 resume` can continue it"),
    ("/status", "what runs, what waits for you, what is left"),
    ("/show ID", "one experiment"),
    ("/diff ID", "its code against its parent's"),
    ("/why ID", "what it rests on: parents, memory, the Critic's reason"),
    ("/ideas", "what was proposed, not chosen, and not tried since"),
    ("/help", "this list"),
)
LOOKUPS = ("status", "show", "diff", "why", "ideas", "help")  # change nothing
VERBS = tuple(form.split()[0][1:] for form, _ in HELP if form.startswith("/"))
AGENTS = tuple(member.name for member in MEMBERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A line that was understood."""

    verb: str  # one of VERBS, "say", or "" for a line that asks for nothing
    text: str = ""
    experiment: str = ""  # the id that was named
    agent: str = ""  # whom /ask asks
    problem: str = ""  # why it cannot be carried out, one sentence
    cut: bool = False  # the line was longer than LONGEST


NOTHING = Expenses()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderContext:
    """What the campaign is at, for saying what will happen to an order."""

    speaking: tuple[str, ...] = ()  # whose turn it is, e.g. "the Researcher of c1-004": each has begun without the line
    busy: str = ""  # what runs until somebody speaks, e.g. "the baselines are trained first"
    soon: float | None = None  # seconds within which somebody hears a line, by the pace so far; None: nothing tells it
    interrupts: bool = False  # who speaks is a language model: /interrupt ends its turn, and it is asked anew
    search: bool = False  # no language model listens
    understood: tuple[str, ...] = ()  # words that a search acts on
    ignored: tuple[str, ...] = ()  # what it did not understand
    asks: bool = False  # there is nothing but questions in it
    running: tuple[str, ...] = ()  # ids of experiments at work
    waiting: tuple[str, ...] = ()  # ids that wait for a word, oldest first
    answered: Mapping[str, str] = field(default_factory=dict)  # id -> how the last request about it ended
    ideas: tuple[str, ...] = ()  # ids of the pool
    names: tuple[str, ...] = ()  # of experiments, baselines and families, ids first
    begun: int = 0  # candidates so far
    spent: Expenses = NOTHING


def understand(line: str) -> Order:
    """What a typed line asks for. Never raises; a line that cannot be carried out says why."""
    # The end of a line that was pasted in the middle parts words.
    text = "".join(c if c.isprintable() or c == "\t" else " " if c.isspace() else "" for c in line).strip()
    return replace(_understood(text[:LONGEST].strip()), cut=len(text) > LONGEST)


def _understood(text: str) -> Order:
    if not text:
        return Order(verb="")
    if not text.startswith("/"):
        return Order(verb="say", text=text)
    word, _, rest = text[1:].partition(" ")
    verb, rest = word.lower(), rest.strip()
    if verb not in VERBS:
        near = get_close_matches(verb, VERBS, n=1)
        all_of_them = ", ".join(f"/{v}" for v in VERBS)
        instead = f"did you mean /{near[0]}? /help lists all" if near else all_of_them
        return Order(verb="", problem=f"/{one_line(word, 30)} is not known here: {instead}")
    form = next(form for form, _ in HELP if form.startswith(f"/{verb}"))
    if verb in ("propose", "pin", "ban", "show", "diff", "why") and not rest:
        return Order(verb="", problem=f"say which: {form}" if verb != "propose" else f"say what to propose: {form}")
    if verb == "budget":
        return _budget(rest)
    if verb == "ask":
        return _asked(rest, form)
    if verb in ("approve", "veto") and is_id(rest.split(" ")[0]):
        ident, _, reason = rest.partition(" ")
        return Order(verb=verb, experiment=ident, text=reason.strip())
    return Order(verb=verb, text=rest)


def _asked(rest: str, form: str) -> Order:
    name, _, text = rest.partition(" ")
    agent = next((a for a in AGENTS if a.lower() == name.lower()), "")
    if not agent or not text.strip():
        return Order(verb="", problem=f"say whom and what: {form}, where AGENT is one of {', '.join(AGENTS)}")
    return Order(verb="ask", text=text.strip(), agent=agent)


def _budget(text: str) -> Order:
    try:
        change_of(text)
    except ValueError as error:
        return Order(verb="", problem=str(error))
    return Order(verb="budget", text=text)


def carry_out(order: Order, inbox: Inbox, at: OrderContext = OrderContext(), *, user: str = "person") -> str:
    """Hand an order to the campaign; gives back the answer to the user. Never blocks."""
    order = _whole_ids(order, at)
    match order.verb:
        case "say" | "ask":
            inbox.say(order.text, user, to=order.agent)
            return _heard(order, at)
        case "propose":
            return _proposed(order, inbox, at, user)
        case "approve":
            return _answered(order, inbox, at, user)
        case "veto":
            return _vetoed(order, inbox, at, user)
        case "pin" | "ban":
            return _directed(order, inbox, at, user)
        case "undo":
            gone = inbox.undo()
            return f"taken back: /{gone.kind} {gone.text}" if gone else "there is no /pin or /ban to take back"
        case "budget":
            return _changed_budget(order, inbox, at)
        case "interrupt":
            inbox.interrupt()
            return "whoever speaks begins anew"
        case "pause":
            inbox.pause()
            return "paused: what runs goes on, nothing new begins, the clock stands still; /resume goes on"
        case "resume":
            inbox.resume()
            return "going on"
        case "stop":
            inbox.stop()
            return "stopping: what is finished is kept, `move37 resume` goes on"
        case "help":
            return "\n".join(f"{form:<18} {meaning}" for form, meaning in HELP)
    return order.problem


def _whole_ids(order: Order, at: OrderContext) -> Order:
    """The same order with the id that was meant: of two that wait, a number ends or lets go that one and no other."""
    if order.verb in ("pin", "ban"):
        word = order.experiment or order.text
        known = [name for name in at.names if is_id(name)]
        return replace(order, experiment="", text=written_out(word, known)) if is_id(word) else order
    return replace(order, experiment=written_out(order.experiment, (*at.waiting, *at.running)))


def _directed(order: Order, inbox: Inbox, at: OrderContext, user: str) -> str:
    word = order.experiment or order.text
    inbox.direct("pin" if order.verb == "pin" else "ban", word, user)
    what = one_line(word, 60)
    if at.names and word not in at.names:
        known = ", ".join(name for name in at.names if not is_id(name))
        what += f" (nothing here has that name; families and names are {one_line(known, 200)})"
    does = "is built on" if order.verb == "pin" else "is built on no more"
    return f"{what} {does}, from the next experiment on; /undo takes it back"


def _changed_budget(order: Order, inbox: Inbox, at: OrderContext) -> str:
    try:
        change = change_of(order.text)
    except ValueError as error:
        return str(error)
    if why := refused(change, at.begun, at.spent):
        return f"the budget stays as it is: {why}"
    inbox.change_budget(change)
    return f"from now on, all sessions together: {spelled(change)}"


def _heard(order: Order, at: OrderContext) -> str:
    when = f"the {order.agent} hears it at its next turn" if order.agent else "whoever speaks next hears it"
    soon = f", within about {about(at.soon)} by the pace so far" if at.soon is not None and not order.agent else ""
    # Who that is cannot be known: two experiments talk side by side, and a turn that has begun has not heard the line.
    now = f"; {' and '.join(at.speaking)} {'speak' if at.speaking[1:] else 'speaks'} now" if at.speaking else ""
    sooner = ", /interrupt and it is heard at once" if now and at.interrupts and not order.agent else ""
    busy = f" ({at.busy})" if at.busy else ""
    return f"noted: {when}{soon}{now}{sooner}{busy}{_search_says(at)}"


def _proposed(order: Order, inbox: Inbox, at: OrderContext, user: str) -> str:
    idea = order.text.strip()
    if is_idea(idea) and idea not in at.ideas:
        known = f"these wait: {', '.join(at.ideas)}" if at.ideas else "none waits"
        return f"there is no idea {idea} that nobody has tried; {known}"
    inbox.propose(order.text, user)
    what = f"idea {idea}" if is_idea(idea) else "it"
    return f"proposed: the next experiment's Researcher gets {what}{_search_says(at)}"


def is_idea(text: str) -> bool:
    """Whether it looks like the id of an idea, such as c1-003.2."""
    ident, dot, number = text.strip().rpartition(".")
    return bool(dot) and number.isdigit() and " " not in ident and is_id(ident) and "-" in ident


def _search_says(at: OrderContext) -> str:
    """What a search will do about the words; nothing where a language model listens."""
    if not at.search:
        return ""
    if at.asks:
        return ". No language model listens, and a search answers no questions: /why ID, or say what it should try"
    if not at.understood:
        return ". No language model listens, and the search understood no word of that: it changes nothing"
    ignored = f" and did not understand {', '.join(repr(w) for w in at.ignored)}" if at.ignored else ""
    return f". No language model listens: the search acts on {', '.join(at.understood)}{ignored}"


def _answered(order: Order, inbox: Inbox, at: OrderContext, user: str) -> str:
    waiting = _unanswered(inbox, at)
    meant = order.experiment or ("" if waiting or not at.waiting else at.waiting[0])
    if meant not in waiting and (ended := _ended(meant, inbox, at)):
        return f"{meant} waits no more: {ended}"
    if not waiting:
        return "nothing waits for your word"
    if order.experiment and order.experiment not in waiting:
        return f"{order.experiment} does not wait; these do: {', '.join(waiting)}"
    if order.text and len(waiting) > 1 and not order.experiment:  # "/approve all", "/approve the second one"
        return f"say which, /approve ID: {', '.join(waiting)} wait"
    chosen = order.experiment or waiting[0]
    inbox.approve(chosen, user)
    return f"{chosen} goes on"


def _vetoed(order: Order, inbox: Inbox, at: OrderContext, user: str) -> str:
    waiting = _unanswered(inbox, at)
    if at.waiting and not waiting and not order.experiment:  # not the newest that runs: this meant what waited
        return f"{at.waiting[0]} waits no more: {_ended(at.waiting[0], inbox, at)}"
    chosen = order.experiment or (waiting[0] if waiting else (at.running[-1] if at.running else ""))
    if not chosen:
        return "nothing runs or waits that could be ended"
    earlier = inbox.on_its_way(chosen)
    if earlier is not None and earlier.kind == "veto":
        return f"{chosen} is ended already: {in_words(earlier)}"
    if order.experiment and order.experiment not in (*at.waiting, *at.running):
        ended = at.answered.get(order.experiment, "it cannot be ended")
        return f"{order.experiment} neither waits nor runs: {ended}"
    inbox.veto(order.text, chosen, user)
    before = f", though {in_words(earlier)}" if earlier is not None else ""
    return f"{chosen} is ended{before}: {order.text or 'no reason given'}"


def _unanswered(inbox: Inbox, at: OrderContext) -> tuple[str, ...]:
    """What waits and has no answer on its way: several people may answer in the same moment."""
    return tuple(ident for ident in at.waiting if inbox.on_its_way(ident) is None)


def _ended(ident: str, inbox: Inbox, at: OrderContext) -> str:
    """How the request about an experiment ended, or is about to; empty where none did."""
    earlier = inbox.on_its_way(ident)
    return in_words(earlier) if earlier is not None else at.answered.get(ident, "")


_KINDS = {
    "say": ControlKind.SAY,
    "ask": ControlKind.ASK,
    "propose": ControlKind.PROPOSE,
    "approve": ControlKind.APPROVE,
    "veto": ControlKind.VETO,
    "interrupt": ControlKind.INTERRUPT,
    "pause": ControlKind.PAUSE,
    "resume": ControlKind.RESUME,
    "stop": ControlKind.STOP,
    "pin": ControlKind.PIN,
    "ban": ControlKind.BAN,
    "undo": ControlKind.UNDO,
    "budget": ControlKind.BUDGET,
}


def control_kind(order: Order) -> ControlKind | None:
    """How an order travels to another process; None for what only looks."""
    return _KINDS.get(order.verb)


def control_text(order: Order) -> str:
    """The text that travels: of /ask, the agent's name before it."""
    return f"{order.agent} {order.text}" if order.agent else order.text


def order_of(control: Control) -> Order:
    """The order that came from another process."""
    if control.kind is ControlKind.ASK:
        agent, _, text = control.text.partition(" ")
        return Order(verb="ask", text=text, agent=agent)
    return Order(verb=control.kind.value, text=control.text, experiment=control.experiment or "")
