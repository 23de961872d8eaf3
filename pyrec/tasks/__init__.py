"""Tasks: each turns a question into an answer from a closed set."""

from importlib.metadata import entry_points
from typing import Any

from pyrec.errors import UnknownTaskError
from pyrec.tasks.base import Task
from pyrec.tasks.click import ClickTask
from pyrec.tasks.explain import ExplainTask
from pyrec.tasks.need import NeedTask
from pyrec.tasks.profile import ProfileTask
from pyrec.tasks.rating import RatingTask
from pyrec.tasks.recommend import RecommendTask

OURS: tuple[type[Task[Any, Any]], ...] = (
    RecommendTask,
    NeedTask,
    ClickTask,
    RatingTask,
    ProfileTask,
    ExplainTask,
)


def find(name: str) -> type[Task[Any, Any]]:
    """Return the task of a name, ours or of an installed package (`pyrec.tasks`).

    Raises:
        UnknownTaskError: there is none; the message lists those that there are.
    """
    known = {task.name: task for task in OURS}
    others = {entry.name: entry for entry in entry_points(group="pyrec.tasks")}
    if name in known:
        return known[name]
    if name in others:
        task: type[Task[Any, Any]] = others[name].load()
        return task
    raise UnknownTaskError(
        f"task {name!r} is none of {', '.join([*known, *others])}; a package adds one through the "
        "entry point group pyrec.tasks"
    )
