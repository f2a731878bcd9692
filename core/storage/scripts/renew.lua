-- Keeps the lease; tells whether someone wants the turn to end. ARGV: conversation, fence, lease in ms.
local stale = check_fence(ARGV[2])
if stale then return stale end
local lease = now_ms() + tonumber(ARGV[3])
redis.call('HSET', STATE, 'lease', lease)
redis.call('ZADD', READY, 'XX', lease, ARGV[1])
return redis.call('HGET', TURN, 'interrupt') or ''
