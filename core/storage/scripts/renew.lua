-- Keeps the lease; tells whether someone wants the turn to end. ARGV: conversation, fence, lease in ms.
local stale = check_fence(ARGV[2])
if stale then return stale end
redis.call('ZADD', READY, 'XX', now_ms() + tonumber(ARGV[3]), ARGV[1])
return redis.call('HGET', TURN, 'interrupt') or ''
