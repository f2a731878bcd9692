-- Hands the open turn over to whoever comes next. ARGV: conversation, fence.
local stale = check_fence(ARGV[2])
if stale then return stale end
redis.call('HDEL', STATE, 'holder')
if redis.call('EXISTS', TURN) == 1 then redis.call('HSET', TURN, 'released', 1) end
redis.call('ZADD', READY, now_ms(), ARGV[1])
wake(ARGV[1])
return 'ok'
