-- Asks the open turn to end. ARGV: reason, id of the call that asks (its own turn goes on).
-- Answers the turn's number, or '' when there was none to end.
local open = redis.call('HGET', TURN, 'entry')
if not open or string.sub(open, 1, 1) == '!' or cjson.decode(open)['id'] == ARGV[2] then return '' end
redis.call('HSET', TURN, 'interrupt', ARGV[1])
redis.call('HSET', STATE, 'stopped', ARGV[2])
return redis.call('HGET', TURN, 'number')
