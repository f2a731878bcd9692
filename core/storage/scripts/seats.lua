-- Takes or keeps a place among so many. KEYS: a zset, token -> ms since 1970 at which its time ends. ARGV: token, most,
-- ms that it is kept. Answers 1 where the token has a place.
local t = redis.call('TIME')
local now, length = t[1] * 1000 + math.floor(t[2] / 1000), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
-- More time than anybody is given is of before the server's clock was set back.
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + length + 1000, '+inf')
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + length, ARGV[1])
redis.call('PEXPIRE', KEYS[1], length + 1000)
return 1
