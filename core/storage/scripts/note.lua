-- Notes what was created and what is about to be. ARGV: fence, turn number, then field and value pairs for the turn's record;
-- an empty value removes the field.
local stale = check_turn(ARGV[1], ARGV[2])
if stale then return stale end
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', TURN, ARGV[i]) else redis.call('HSET', TURN, ARGV[i], ARGV[i + 1]) end
end
return 'ok'
