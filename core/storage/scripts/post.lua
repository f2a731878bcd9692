-- Accepts one incoming value. ARGV: conversation, entry, seconds to remember the update, most waiting, id of the message edited or ''.
local conversation, entry, seconds, most, edited = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
if not redis.call('SET', SEEN, '1', 'NX', 'EX', seconds) then return 'seen' end

if edited ~= '' then
  -- Still waiting: it is read in its new form, at its old place.
  for index, waiting in ipairs(redis.call('LRANGE', BOX, 0, -1)) do
    if string.sub(waiting, 1, 1) ~= '!' then
      local value = cjson.decode(waiting)
      if value['type'] == 'message' and value['id'] == edited then
        redis.call('LSET', BOX, index - 1, entry)
        return 'accepted'
      end
    end
  end
  -- Being answered: that answer is given up, and the edit comes next, however many wait.
  local open = redis.call('HGET', TURN, 'entry')
  if open and string.sub(open, 1, 1) ~= '!' and cjson.decode(open)['id'] == edited then
    redis.call('HSET', TURN, 'interrupt', 'superseded')
    redis.call('LPUSH', BOX, entry)
    return 'accepted'
  end
end

local waiting = redis.call('LLEN', BOX)
if waiting >= most then
  -- One entry stands for all that are too many, so that one notice tells of them.
  if redis.call('HINCRBY', STATE, 'overflow', 1) == 1 then
    redis.call('RPUSH', BOX, '!' .. entry)
  end
  redis.call('ZADD', READY, 'NX', 0, conversation)
  return 'full'
end
redis.call('RPUSH', BOX, entry)
redis.call('ZADD', READY, 'NX', 0, conversation)
return 'accepted'
