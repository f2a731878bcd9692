-- Keeps what was said in a space that rules look at. KEYS: the messages, how many each person has said.
-- ARGV: message, its author, most messages, the oldest id to keep, seconds to keep, whether it counts (1 or 0), seconds
-- to keep the counts.
-- Answers how many the author had said before.
local said, counts = KEYS[1], KEYS[2]
redis.call('XADD', said, 'MAXLEN', '~', ARGV[3], '*', 'm', ARGV[1])
redis.call('XTRIM', said, 'MINID', '~', ARGV[4])
redis.call('EXPIRE', said, ARGV[5])
local before = tonumber(redis.call('HGET', counts, ARGV[2]) or 0)
if ARGV[6] == '1' then
  redis.call('HINCRBY', counts, ARGV[2], 1)
end
redis.call('EXPIRE', counts, ARGV[7])
return before
