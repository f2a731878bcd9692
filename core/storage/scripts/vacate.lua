-- Removes what is left of a private conversation whose tree was erased: which ids its last messages had, what was chosen
-- for it. ARGV: conversation. Answers 1 when it is gone, 0 where a turn is open, something waits, or they talk again.
if redis.call('EXISTS', TURN, BOX, TREE) > 0 then return 0 end
local notices, votes = string.gsub(ORDER, '}:order:', '}:notices:', 1), string.gsub(ORDER, '}:order:', '}:votes:', 1)
redis.call('DEL', STATE, ORDER, notices, votes)
redis.call('ZREM', READY, ARGV[1])
redis.call('LREM', WAKE, 0, ARGV[1] .. '\t')
return 1
