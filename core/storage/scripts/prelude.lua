-- Put before every script. A conversation's scripts get its keys in this order:
local BOX, STATE, TURN, TREE, ORDER, READY, SEEN, USAGE =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]

-- The server's clock: the hosts' clocks may differ or jump.
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- A write of a worker that has lost the lease is refused.
local function check_fence(fence)
  if redis.call('HGET', STATE, 'fence') ~= fence then
    return redis.error_reply('STALE the lease was taken over')
  end
end

local function read_node(id)
  local raw = redis.call('HGET', TREE, id)
  if raw and string.sub(raw, 1, 1) == '=' then
    id = string.sub(raw, 2)
    raw = redis.call('HGET', TREE, id)
  end
  if not raw then return nil end
  local parent, before, tokens, kind, payload = string.match(raw, '^([^\t]*)\t(%d+)\t(%d+)\t(%a)\t(.*)$')
  return { id = id, parent = parent, before = tonumber(before), tokens = tonumber(tokens), kind = kind, payload = payload }
end

local function write_node(id, parent, before, tokens, kind, payload)
  redis.call('HSET', TREE, id, table.concat({ parent, before, tokens, kind, payload }, '\t'))
end

-- Opens the turn of the next waiting entry, or leaves the conversation free.
local function open_next(conversation, worker, lease_ms)
  local entry = redis.call('LPOP', BOX)
  if not entry then
    redis.call('ZREM', READY, conversation)
    redis.call('HDEL', STATE, 'holder', 'lease')
    return { 'idle' }
  end
  local number = redis.call('HINCRBY', STATE, 'turns', 1)
  redis.call('HSET', TURN, 'number', number, 'entry', entry, 'takeovers', 0)
  local lease = now_ms() + lease_ms
  redis.call('HSET', STATE, 'holder', worker, 'lease', lease)
  redis.call('ZADD', READY, lease, conversation)
  local dropped = '0'
  if string.sub(entry, 1, 1) == '!' then
    dropped = redis.call('HGET', STATE, 'overflow') or '1'
    redis.call('HDEL', STATE, 'overflow')
  end
  redis.call('HSET', TURN, 'overflow', dropped)
  return { 'turn', redis.call('HGET', STATE, 'fence'), redis.call('HGET', STATE, 'model') or '', redis.call('HGETALL', TURN) }
end
