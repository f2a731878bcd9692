-- Takes the conversation's lease and its open or next turn.
-- ARGV: conversation, worker, lease in ms, seconds to keep the state, the try's own name.
local conversation, worker, lease_ms, try = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[5]
local known = redis.call('HMGET', STATE, 'holder', 'try')
local lease = tonumber(redis.call('ZSCORE', READY, conversation) or 0)
if known[1] and known[1] ~= worker and lease > now_ms() then return { 'held' } end
-- The same try again, because its reply got lost, is no takeover.
local is_again = known[1] == worker and known[2] == try
if not is_again then redis.call('HINCRBY', STATE, 'fence', 1) end
redis.call('HSET', STATE, 'try', try)
redis.call('EXPIRE', STATE, ARGV[4])
if redis.call('HEXISTS', TURN, 'entry') == 0 then
  redis.call('DEL', TURN)
  return open_next(conversation, worker, lease_ms)
end
-- Neither is a turn that was handed over in good order.
if redis.call('HDEL', TURN, 'released') == 0 and not is_again then redis.call('HINCRBY', TURN, 'takeovers', 1) end
redis.call('HSET', STATE, 'holder', worker)
redis.call('ZADD', READY, now_ms() + lease_ms, conversation)
return { 'turn', redis.call('HGET', STATE, 'fence'), preferences(), redis.call('HGETALL', TURN) }
