-- Takes the conversation's lease and its open or next turn. ARGV: conversation, worker, lease in ms, seconds to keep the state.
local conversation, worker, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local held = redis.call('HMGET', STATE, 'holder', 'lease')
if held[1] and held[1] ~= worker and tonumber(held[2]) > now_ms() then return { 'held' } end
local fence = redis.call('HINCRBY', STATE, 'fence', 1)
redis.call('EXPIRE', STATE, ARGV[4])
if redis.call('EXISTS', TURN) == 0 then return open_next(conversation, worker, lease_ms) end
-- A turn that was handed over in good order is no takeover.
if redis.call('HDEL', TURN, 'released') == 0 then redis.call('HINCRBY', TURN, 'takeovers', 1) end
local lease = now_ms() + lease_ms
redis.call('HSET', STATE, 'holder', worker, 'lease', lease)
redis.call('ZADD', READY, lease, conversation)
return { 'turn', tostring(fence), redis.call('HGET', STATE, 'model') or '', redis.call('HGETALL', TURN) }
