"""What is served: one process for all campaigns of a home, pages by address, files besides.

`serve` blocks until it is stopped. NiceGUI's own settings stand here alone: no outside assets, its storage in the home,
its cookie signed by a secret of the home, so that an open page finds its way back after a restart.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from nicegui import app, core, ui
from nicegui.storage import Storage

from move37.app import templating
from move37.app.exits import EnvironmentFault
from move37.app.page import begin, comparing, experiments, files, knowledge, now, results
from move37.app.page.access import Guard, is_loopback
from move37.app.page.frame import Page, colours, content, fragment, render, styles
from move37.app.page.hub import Hub
from move37.app.secret_file import secret
from move37.lab.errors import LabError

SECRET, TOKEN = "page.secret", "page.token"  # files of the home
LARGEST = 1_000_000  # bytes of one message of a viewer
# Seconds in which a page is built. The library's own three are too few beside a campaign on a busy machine: whoever
# opened the leaderboard in that moment got an error 500.
BUILT_WITHIN = 60.0


def serve(home: Path, *, host: str, port: int, open_browser: bool) -> None:
    """Serve the page until the process is stopped. Raises `BadInput` or `EnvironmentFault` before it listens."""
    check_port(host, port)
    hub = Hub(home)
    token = None if is_loopback(host) else secret(home, TOKEN)
    app.add_middleware(Guard, token=token)
    Storage.path = (home / "page").absolute()
    core.sio.eio.max_http_buffer_size = LARGEST
    app.on_shutdown(hub.close)
    routes(hub)
    address = f"http://{_shown(host)}:{port}/" + (f"?token={token}" if token else "")
    print(f"the page of {home} is at {address}", flush=True)
    if token:
        print("it answers beyond this machine: whoever has the address with its token may steer", flush=True)
    ui.run(
        host=host,
        port=port,
        title="Move 37",
        favicon="♟",
        dark=None,
        reload=False,
        show=f"/?token={token}" if token and open_browser else open_browser,
        storage_secret=secret(home, SECRET),
        session_middleware_kwargs={"same_site": "strict"},
        show_welcome_message=False,
        reconnect_timeout=30.0,
        binding_refresh_interval=None,  # nothing here is bound by polling
        tailwind=False,
        uvicorn_logging_level="error",
    )


def check_port(host: str, port: int) -> None:
    """Raises `EnvironmentFault` when nothing can listen there."""
    import socket

    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise EnvironmentFault(
            f"nothing can be served at {host} port {port} ({error.strerror or error}): choose another --port or --host"
        ) from error


def routes(hub: Hub) -> None:
    """Every address of the page."""

    @ui.page("/", response_timeout=BUILT_WITHIN)
    async def home() -> RedirectResponse | None:
        campaigns = await hub.campaigns()
        if campaigns:
            return RedirectResponse(f"/c/{campaigns[-1].id}/now")
        return RedirectResponse("/begin")

    @ui.page("/begin", response_timeout=BUILT_WITHIN)
    async def begin_page(campaign: str = "") -> None:
        _bare_frame()
        await begin.begin(hub, campaign)

    @ui.page("/campaigns", response_timeout=BUILT_WITHIN)
    async def campaigns_page(ids: str = "") -> None:
        _bare_frame()
        await comparing.campaigns(hub, ids)

    @ui.page("/c/{campaign}", response_timeout=BUILT_WITHIN)
    async def campaign_page(campaign: int) -> RedirectResponse:
        return RedirectResponse(f"/c/{campaign}/now")

    @ui.page("/c/{campaign}/e/{ident}", response_timeout=BUILT_WITHIN)
    async def experiment_page(campaign: int, ident: str) -> None:
        await _framed(hub, campaign, "", lambda page: experiments.experiment(page, ident))

    @ui.page("/c/{campaign}/compare", response_timeout=BUILT_WITHIN)
    async def compare_page(campaign: int, ids: str = "") -> None:
        await _framed(hub, campaign, "compare", lambda page: comparing.experiments(page, ids))

    sections: dict[str, Callable[[Page], Awaitable[None]]] = {
        "now": lambda page: now.Now(page).build(),
        "board": results.board,
        "plots": results.plots,
        "tree": results.family,
        "story": knowledge.story,
        "insight": knowledge.insight,
        "memory": knowledge.memory,
        "data": files.links,
    }
    for name, build in sections.items():
        _section(hub, name, build)

    @app.get("/c/{campaign}/report.html", include_in_schema=False)
    async def report(campaign: int) -> Response:
        return await _file(hub, campaign, "report.html")

    @app.get("/c/{campaign}/data/{name}", include_in_schema=False)
    async def data(campaign: int, name: str) -> Response:
        return await _file(hub, campaign, name)

    @app.exception_handler(404)
    @app.exception_handler(RequestValidationError)
    async def nothing(request: Request, error: Exception) -> Response:
        return HTMLResponse(render("nothing.html", style=templating.styles()), status_code=404)

    @app.exception_handler(LabError)
    async def unknown(request: Request, error: LabError) -> Response:
        return PlainTextResponse(f"move37: {error}", status_code=404)


def _section(hub: Hub, name: str, build: Callable[[Page], Awaitable[None]]) -> None:
    @ui.page(f"/c/{{campaign}}/{name}", response_timeout=BUILT_WITHIN)
    async def section(campaign: int) -> None:
        await _framed(hub, campaign, name, build)


async def _framed(hub: Hub, campaign: int, section: str, build: Callable[[Page], Awaitable[None]]) -> None:
    if campaign not in {c.id for c in await hub.campaigns()}:
        _bare_frame()
        with content():
            fragment(render("quiet.html", text=f"There is no campaign {campaign} in this home."))
            ui.link("All campaigns", "/campaigns")
        return
    page = Page(hub, campaign, section)
    await page.build()
    await build(page)


def _bare_frame() -> None:
    ui.add_css(styles())
    colours()
    ui.dark_mode(app.storage.user.get("dark"))
    with ui.element("header").classes("top"), ui.row().classes("bar items-center"):
        ui.link("Move 37", "/").classes("brand")
        ui.space()
        ui.link("Campaigns", "/campaigns")
        ui.link("New", "/begin")


async def _file(hub: Hub, campaign: int, name: str) -> Response:
    made = await files.made(hub, campaign, name)
    if made is None:
        return PlainTextResponse("move37: there is no such file", status_code=404)
    kind, text = made
    if kind == "text/html":
        return HTMLResponse(text, headers={"content-security-policy": "sandbox allow-scripts"})
    return Response(
        text, media_type=kind, headers={"content-disposition": f'attachment; filename="c{campaign}-{name}"'}
    )


def _shown(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
