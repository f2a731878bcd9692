-- Writes a case into a space's book. KEYS: the cases, their order, the cases of whom it is about, the case made for this
-- call, and how many its actor made of late.
-- ARGV: case, seconds to keep, most cases, seconds to remember the call, most of the actor's (0: any number), seconds in
-- which these count. Answers the case's number, or 0 where the actor made too many.
local of, made, many = KEYS[3], KEYS[4], KEYS[5]
local keep, most = tonumber(ARGV[2]), tonumber(ARGV[3])
local before = redis.call('GET', made)
if before then return tonumber(before) end
if tonumber(ARGV[5]) > 0 then
  if tonumber(redis.call('GET', many) or 0) >= tonumber(ARGV[5]) then return 0 end
  if redis.call('INCR', many) == 1 then redis.call('EXPIRE', many, ARGV[6]) end
end
-- The number stands beside the cases and lives as long as the newest.
local number = redis.call('HINCRBY', cases, 'last', 1)
redis.call('HSET', cases, number, ARGV[1])
redis.call('ZADD', order, micros, number)
redis.call('ZADD', of, micros, number)
redis.call('SET', made, number, 'EX', ARGV[4])
trim(keep, most)
for _, key in ipairs({cases, order, of}) do last(key, keep) end
return number
