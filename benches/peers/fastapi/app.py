"""`GET /api/calls` as a FastAPI service would answer it, over asyncpg. What benches/http.rs measures Plumbline against.

The same token check (RS256, issuer, audience, expiry, role) and the same JSON from the same rows, but no row security: the pool's role owns the
tables and a predicate names the organizations. Keys and the directory of organizations are read once, when it starts.
Tuned as the documentations advise: uvloop and httptools, one worker per core, a pool of prepared statements (asyncpg prepares and keeps by
itself), orjson into a plain Response, which FastAPI passes on as it is.
"""

import base64
import json
import os
import urllib.request
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import asyncpg
import jwt
import orjson
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

SETTINGS = json.loads(os.environ["BENCH_PEER"])
LIST = (Path(__file__).parent.parent / "list.sql").read_text()
MAY_READ_CALLS = {"tenant_admin", "organization_admin", "supervisor", "evaluator", "coach", "auditor"}
GROUP = "/organizations/"


@asynccontextmanager
async def lifespan(app: FastAPI):
    with urllib.request.urlopen(SETTINGS["jwks_uri"]) as answer:
        app.state.keys = {key.key_id: key for key in jwt.PyJWKSet.from_json(answer.read()).keys}
    app.state.pool = await asyncpg.create_pool(
        host=SETTINGS["socket"],
        user=SETTINGS["user"],
        database="postgres",
        server_settings={"search_path": SETTINGS["schema"]},
        min_size=SETTINGS["connections"],
        max_size=SETTINGS["connections"],
        max_inactive_connection_lifetime=0,
    )
    rows = await app.state.pool.fetch("select slug, organization_id from organizations where status = 'active'")
    app.state.directory = {row["slug"]: row["organization_id"] for row in rows}
    yield
    await app.state.pool.close()


app = FastAPI(lifespan=lifespan)
bearer = HTTPBearer()


async def organizations(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]
) -> list:
    """The organizations whose calls the caller may read."""
    token = credentials.credentials
    try:
        key = request.app.state.keys[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            issuer=SETTINGS["issuer"],
            audience=SETTINGS["audience"],
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
    except (jwt.PyJWTError, KeyError) as error:
        raise HTTPException(401) from error
    if MAY_READ_CALLS.isdisjoint(claims["realm_access"]["roles"]):
        raise HTTPException(403)
    directory = request.app.state.directory
    slugs = (group.removeprefix(GROUP) for group in claims["groups"] if group.startswith(GROUP))
    return [directory[slug] for slug in slugs if slug in directory]


def view(row: asyncpg.Record) -> dict:
    """A call as the API shows it."""
    (call, organization, agent, scorecard, external, channel, language, status,
     stage, kind, reason, duration, started, received, transcribed, evaluated, score) = row
    return {
        "call_id": call,
        "organization_id": organization,
        "agent_id": agent,
        "scorecard_id": scorecard,
        "external_id": external,
        "channel": channel,
        "language": language,
        "status": status,
        "failure": {"stage": stage, "kind": kind, "reason": reason} if stage else None,
        "duration_ms": duration,
        "started_at": started,
        "received_at": received,
        "transcribed_at": transcribed,
        "evaluated_at": evaluated,
        "overall_score": score,
    }


@app.get("/api/calls")
async def list_calls(
    request: Request,
    reach: Annotated[list, Depends(organizations)],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """Newest first."""
    rows = await request.app.state.pool.fetch(LIST, reach, limit + 1)
    cursor = None
    if len(rows) > limit:
        rows = rows[:limit]
        last = orjson.dumps({"at": rows[-1]["received_at"], "id": rows[-1]["call_id"]})
        cursor = base64.urlsafe_b64encode(last).decode()
    body = orjson.dumps({"items": [view(row) for row in rows], "next_cursor": cursor})
    return Response(body, media_type="application/json")
