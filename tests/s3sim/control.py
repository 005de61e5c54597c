# SPDX-License-Identifier: Apache-2.0
"""The control API for tests that run the simulator as a process.

Unsigned JSON under /-sim/, which no bucket name can begin with:
  GET    stats                      counters, seed, rules
  POST   reset-stats
  POST   faults   {"kind": ..} or a list of such; see faults.Rule
  DELETE faults
  POST   storm    {"rate": r}; see faults.Faults.storm
  GET    keys?bucket=B[&prefix=P]   live keys
  POST   clock    {"advance": s, "skew": s}
  POST   pace     {"latency": s, "bandwidth": bytes/s, "restores": n/s}
  POST   quirks   {"add": [..], "remove": [..]}; see server.QUIRKS
  GET    restores?bucket=B          {key: {status or code: restore requests}}
  GET    meter                      money so far; see meter.py
  POST   reset-meter
  POST   ready, expire              {"bucket": B, "keys": [..] or "prefix": P}: end
                                    restores, or restored copies, now; how many
  POST   archive                    the same, and "tier": into the archive of
                                    INTELLIGENT_TIERING
  POST   lifecycle                  {"bucket": B}: carry out its transitions
  POST   user     {"access_key": .., "secret_key": .., "policy": document}
Invariant: nothing here passes through faults, pace or counters.
"""

import json

from .errors import S3Error
from .message import Response

PATH = "/-sim/"


def get_stats(sim, _request):
    return {**sim.stats.describe(), "seed": sim.faults.seed,
            "rules": sim.faults.describe()}


def reset_stats(sim, _request):
    sim.stats.reset()


def add_faults(sim, request):
    rules = json.loads(request.body.read())
    for rule in rules if isinstance(rules, list) else [rules]:
        sim.faults.add(**rule)


def begin_storm(sim, request):
    sim.faults.storm(**json.loads(request.body.read()))


def clear_faults(sim, _request):
    sim.faults.clear()


def get_keys(sim, request):
    prefix = request.query.get("prefix", "")
    keys = sim.bucket(request.query["bucket"]).keys()
    return [key for key in keys if key.startswith(prefix)]


def set_clock(sim, request):
    wish = json.loads(request.body.read())
    sim.clock.advance(wish.get("advance", 0))
    sim.clock.skew = wish.get("skew", sim.clock.skew)


def set_pace(sim, request):
    wish = json.loads(request.body.read())
    sim.pace.latency = wish.get("latency", sim.pace.latency)
    sim.pace.bandwidth = wish.get("bandwidth", sim.pace.bandwidth)
    sim.restores.per_second = wish.get("restores", sim.restores.per_second)


def set_quirks(sim, request):
    wish = json.loads(request.body.read())
    sim.set_quirks(wish.get("add", ()), wish.get("remove", ()))


def get_restores(sim, request):
    return sim.stats.restores_of(request.query["bucket"])


def get_meter(sim, _request):
    return sim.meter.describe()


def reset_meter(sim, _request):
    sim.meter.reset()


def make_ready(sim, request):
    return sim.make_ready(**json.loads(request.body.read()))


def expire(sim, request):
    return sim.expire(**json.loads(request.body.read()))


def put_away(sim, request):
    return sim.archive(**json.loads(request.body.read()))


def run_lifecycle(sim, request):
    return sim.run_lifecycle(**json.loads(request.body.read()))


def add_user(sim, request):
    wish = json.loads(request.body.read())
    sim.users.add(wish["access_key"], wish["secret_key"], wish["policy"])


TABLE = {("GET", "stats"): get_stats, ("POST", "reset-stats"): reset_stats,
         ("POST", "faults"): add_faults, ("DELETE", "faults"): clear_faults,
         ("POST", "storm"): begin_storm,
         ("GET", "keys"): get_keys, ("POST", "clock"): set_clock,
         ("POST", "pace"): set_pace, ("POST", "quirks"): set_quirks,
         ("GET", "restores"): get_restores, ("GET", "meter"): get_meter,
         ("POST", "reset-meter"): reset_meter, ("POST", "ready"): make_ready,
         ("POST", "expire"): expire, ("POST", "archive"): put_away,
         ("POST", "lifecycle"): run_lifecycle,
         ("POST", "user"): add_user}


def answer(sim, request):
    function = TABLE.get((request.method, request.raw_path[len(PATH):]))
    status, result = 404, {"error": "no such control"}
    if function:
        try:
            status, result = 200, function(sim, request)
        except (KeyError, TypeError, ValueError, S3Error) as error:
            status, result = 400, {"error": repr(error)}
    request.body.drain()
    return Response.of(status, json.dumps(result).encode(), "application/json")
