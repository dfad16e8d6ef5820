"""The queue's protocol, as Lua scripts: each runs on the server as one step, or not at all.

A build is these keys. ``build``: a hash of its settings and counters. ``atoms`` and ``again``:
streams with the consumer group ``machines``, in which an atom that a machine holds is pending;
``again`` is for tests that failed and run once more. ``done``: which machine acknowledged an atom
first. ``results``: the reports of its tests. ``machines``: when each was last heard of. ``failed``:
tests that wait to be run again. ``collected``: the node ids.

The invariant: all ages are the server's, so that no machine's clock matters; and a step that is
sent twice, because its answer was lost, is taken once.
"""

from __future__ import annotations

KEYS = ("build", "atoms", "again", "done", "results", "machines", "failed", "collected")

KEPT_MS = 24 * 3600 * 1000
"""How long a build's keys are kept after a machine was last heard of."""

_COMMON = """
local build, atoms, again, done, results, machines, failed, collected = unpack(KEYS)
local streams = {atoms = atoms, again = again}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

_THERE = (
    _COMMON
    + """
if redis.call('EXISTS', build, atoms, again, done, results, machines, collected) < 7 then
  return {'gone'}
end
local id = ARGV[1]
local lease_ms = tonumber(redis.call('HGET', build, 'lease_ms'))
local function put(key, machine)
  redis.call('HSET', machines, key, cjson.encode(machine))
end
local function each_machine()
  local found = {}
  local flat = redis.call('HGETALL', machines)
  for i = 1, #flat, 2 do
    if flat[i] ~= '' then found[flat[i]] = cjson.decode(flat[i + 1]) end
  end
  return found
end
local function is_there(machine)
  return machine.state ~= 'left' and machine.state ~= 'lost' and now - machine.beat <= lease_ms
end
local function not_done()
  local count = redis.call('HGET', build, 'atoms') + redis.call('HGET', build, 'requeued')
  return count - (redis.call('HLEN', done) - 1)
end
"""
)

# Once a script has written, a memory limit does not stop it: a build that was published can end.
_MEMBER = (
    _THERE
    + f"redis.call('PEXPIRE', build, {KEPT_MS})"
    + """
local text = redis.call('HGET', machines, id)
if not text then return {'gone'} end
local me = cjson.decode(text)
if me.state == 'lost' then return {'lost', me.by} end
me.beat = now
"""
)

PROBE = """
redis.call('XGROUP', 'CREATE', KEYS[1], 'machines', '0', 'MKSTREAM')
redis.call('XPENDING', KEYS[1], 'machines', 'IDLE', 1, '-', '+', 1)
redis.call('DEL', KEYS[1])
return redis.call('TIME')[1]
"""
"""All that the others need of the server, tried on a key of its own."""

PUBLISH = (
    _COMMON
    + """
if redis.call('EXISTS', build) == 1 then return {'there'} end
redis.call('DEL', unpack(KEYS))
redis.call('SET', collected, ARGV[1])
redis.call('XGROUP', 'CREATE', atoms, 'machines', '0', 'MKSTREAM')
redis.call('XGROUP', 'CREATE', again, 'machines', '0', 'MKSTREAM')
local count = tonumber(ARGV[3])
for i = 4, 3 + count do
  redis.call('XADD', atoms, '*', 'i', i - 3, 't', ARGV[i])
end
redis.call('HSET', done, '', '')
redis.call('HSET', results, '', '')
redis.call('HSET', machines, '', '')
redis.call('HSET', build, 'atoms', count, 'requeued', 0, 'flaky', 0, 'began_ms', now,
  unpack(ARGV, 4 + count))
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[2]) end
return {'published'}
"""
)
"""Given the node ids, how long keys are kept, the number of atoms, the atoms, and settings."""

JOIN = (
    _THERE
    + """
local name = ARGV[2]
if redis.call('HGET', build, 'digest') ~= ARGV[3] then
  return {'differs', redis.call('GET', collected)}
end
local before, ran_before = {}, false
for key, machine in pairs(each_machine()) do
  if machine.name == name and key ~= id then
    if is_there(machine) then return {'twice', lease_ms - (now - machine.beat)} end
    if machine.state == 'left' then
      before[key] = true
      ran_before = true
    end
  end
end
put(id, {name = name, state = 'running', beat = now, tests = 0, failed = 0})
if not ran_before then return {'joined'} end
local own = {}
local flat = redis.call('HGETALL', done)
for i = 1, #flat, 2 do
  if before[flat[i + 1]] then own[flat[i]] = true end
end
local answer = {'joined'}
for _, stream in ipairs({atoms, again}) do
  for _, entry in ipairs(redis.call('XRANGE', stream, '-', '+')) do
    local index, tests = entry[2][2], entry[2][4]
    if own[index] then
      local requeued = {}
      local accepted = redis.call('HGET', build, 'again of ' .. index)
      for _, test in ipairs(accepted and cjson.decode(accepted) or {}) do requeued[test] = true end
      local reported = {}
      for test in string.gmatch(tests, '%d+') do
        if not requeued[test] then table.insert(reported, test) end
      end
      if #reported > 0 then table.insert(answer, table.concat(reported, ',')) end
    end
  end
end
return answer
"""
)
"""Answers with the atoms that a machine of this name ran before, for it to run them again; without
the tests that failed and ran again since, which their last run reports."""

TAKE = (
    _MEMBER
    + """
local function given(stream, entry, failed_on)
  me.state = 'running'
  put(id, me)
  return {'atom', stream, entry[1], entry[2][2], entry[2][4], failed_on or ''}
end
local function read(stream)
  local answer = redis.call('XREADGROUP', 'GROUP', 'machines', id, 'COUNT', 1, 'STREAMS',
    streams[stream], '>')
  return answer and answer[1][2][1]
end
local function is_elsewhere(waiting)
  for key, machine in pairs(each_machine()) do
    if is_there(machine) and not waiting.on[machine.name] then return true end
  end
  return false
end
local function failed_test(may_take)
  for _, json in ipairs(redis.call('LRANGE', failed, 0, -1)) do
    local waiting = cjson.decode(json)
    if may_take(waiting) then
      redis.call('LREM', failed, 1, json)
      local names = {}
      for name in pairs(waiting.on) do table.insert(names, name) end
      table.sort(names)
      local on = table.concat(names, ', ')
      redis.call('XADD', again, '*', 'i', waiting.i, 't', waiting.t, 'on', on)
      return given('again', read('again'), on)
    end
  end
end
local answer = failed_test(function(waiting) return not waiting.on[me.name] end)
if answer then return answer end
for stream, key in pairs(streams) do
  local expired = redis.call('XPENDING', key, 'machines', 'IDLE', lease_ms, '-', '+', 1)[1]
  if expired then
    local entry = redis.call('XCLAIM', key, 'machines', id, 0, expired[1])[1]
    return given(stream, entry, entry[2][6])
  end
end
local entry = read('atoms')
if entry then return given('atoms', entry) end
if redis.call('LLEN', failed) == not_done() then
  answer = failed_test(function(waiting) return not is_elsewhere(waiting) end)
  if answer then return answer end
end
put(id, me)
return {not_done() <= 0 and 'over' or 'wait'}
"""
)

ACKNOWLEDGE = (
    _MEMBER
    + """
local stream, entry, index, blob, tests, failures = unpack(ARGV, 2, 7)
redis.call('XACK', streams[stream], 'machines', entry)
local owner = redis.call('HGET', done, index)
if owner == id then
  local accepted = redis.call('HGET', build, 'again of ' .. index)
  return {'first', unpack(accepted and cjson.decode(accepted) or {})}
end
put(id, me)
if owner then return {'late'} end
local most, cap = redis.call('HGET', build, 'requeues'), redis.call('HGET', build, 'requeue_cap')
local accepted = {}
for i = 8, #ARGV, 2 do
  local test = ARGV[i]
  local json = redis.call('HGET', build, 'failed ' .. test)
  local before = json and cjson.decode(json) or {times = 0, on = {}}
  local total = tonumber(redis.call('HGET', build, 'requeued'))
  if before.times < tonumber(most) and total < tonumber(cap) then
    before.times = before.times + 1
    before.on[me.name] = true
    redis.call('HSET', build, 'failed ' .. test, cjson.encode(before))
    redis.call('HINCRBY', build, 'requeued', 1)
    redis.call('RPUSH', failed, cjson.encode({i = 'again ' .. total + 1, t = test, on = before.on}))
    table.insert(accepted, test)
  else
    redis.call('HSET', results, index .. '/' .. test, ARGV[i + 1])
  end
end
redis.call('HSET', done, index, id)
redis.call('HSET', results, index, blob)
if #accepted > 0 then
  redis.call('HSET', build, 'again of ' .. index, cjson.encode(accepted))
end
if stream == 'again' and tonumber(failures) == 0 then redis.call('HINCRBY', build, 'flaky', 1) end
me.tests = me.tests + tests - #accepted
me.failed = me.failed + failures - #accepted
put(id, me)
return {'first', unpack(accepted)}
"""
)
"""Given the lease and the reports of its tests, those of failed tests each by itself; answers with
the failed tests that are to be run again."""

BEAT = (
    _MEMBER
    + """
for i = 3, #ARGV, 2 do
  local key, entry = streams[ARGV[i]], ARGV[i + 1]
  local pending = redis.call('XPENDING', key, 'machines', entry, entry, 1)[1]
  if pending and pending[2] == id then
    redis.call('XCLAIM', key, 'machines', id, 0, entry, 'JUSTID')
  end
end
put(id, me)
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[2]) end
return {'alive'}
"""
)

LEAVE = (
    _MEMBER
    + """
local somebody, watching = false, false
for key, machine in pairs(each_machine()) do
  if key ~= id and is_there(machine) then
    somebody = true
    watching = watching or machine.state == 'watching'
  elseif key ~= id and machine.state ~= 'left' and machine.state ~= 'lost' then
    machine.state, machine.by = 'lost', me.name
    put(key, machine)
    local own, answer = {}, {'adopted', machine.name}
    local flat = redis.call('HGETALL', done)
    for i = 1, #flat, 2 do
      if flat[i + 1] == key then
        own[flat[i]] = true
        redis.call('HSET', done, flat[i], id)
      end
    end
    flat = redis.call('HGETALL', results)
    for i = 1, #flat, 2 do
      if own[string.match(flat[i], '^[^/]*')] then table.insert(answer, flat[i + 1]) end
    end
    me.tests, me.failed = me.tests + machine.tests, me.failed + machine.failed
    put(id, me)
    return answer
  end
end
me.state = (somebody and not watching) and 'watching' or 'leaving'
put(id, me)
return {me.state}
"""
)
"""Once all is done. Answers with the reports of a lost machine: they are this one's now."""

RELEASE = (
    _MEMBER
    + """
for _, key in pairs(streams) do
  for _, pending in ipairs(redis.call('XPENDING', key, 'machines', '-', '+', 1000, id)) do
    redis.call('XCLAIM', key, 'machines', id, 0, pending[1], 'IDLE', 2 * lease_ms, 'JUSTID')
  end
end
me.state = 'left'
put(id, me)
return {'left'}
"""
)
"""What the machine holds is there for others at once."""
