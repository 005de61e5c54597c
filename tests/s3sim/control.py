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
  POST   pace     {"latency": s, "bandwidth": bytes/s}
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


def add_user(sim, request):
    wish = json.loads(request.body.read())
    sim.users.add(wish["access_key"], wish["secret_key"], wish["policy"])


TABLE = {("GET", "stats"): get_stats, ("POST", "reset-stats"): reset_stats,
         ("POST", "faults"): add_faults, ("DELETE", "faults"): clear_faults,
         ("POST", "storm"): begin_storm,
         ("GET", "keys"): get_keys, ("POST", "clock"): set_clock,
         ("POST", "pace"): set_pace,
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
