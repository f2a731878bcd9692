-- Gives an account a one-time code; the one it had is void. KEYS: the code, the account's code.
-- ARGV: seconds, digest of the code, what it says, its account's platform. Answers 1, or 0 where that is a code already.
local before = redis.call('GET', KEYS[2])
-- Issued by this very attempt, whose reply got lost.
if before == ARGV[2] then return 1 end
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
if before then redis.call('DEL', string.match(KEYS[1], '^(.*:)') .. before) end
redis.call('HSET', KEYS[1], 'says', ARGV[3], 'platform', ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[1])
return 1
