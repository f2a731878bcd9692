-- Accepts one incoming value. ARGV: conversation, entry, seconds to remember the update, most waiting, id of the message
-- edited or '', space or '', most waiting of a space and in all (of this partition), 1 when the caller wakes a worker
-- itself, and for a call that acts at once its id or ''.
local conversation, entry, seconds, most, edited = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local space, most_of_space, most_of_all = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local is_told, urgent = ARGV[9] == '1', ARGV[10]
if not redis.call('SET', SEEN, '1', 'NX', 'EX', seconds) then return 'seen' end

local open = redis.call('HGET', TURN, 'entry')
if urgent ~= '' and open and string.sub(open, 1, 1) ~= '!' and read_entry(open)['id'] ~= urgent then
  interrupt('stopped')
  redis.call('HSET', STATE, 'stopped', urgent)
  call_holder(conversation)
elseif urgent ~= '' and not open and redis.call('EXISTS', BOX) == 1 then
  -- No worker has come to it yet: what waits first is meant.
  redis.call('HSET', STATE, 'stopping', urgent)
end

if edited ~= '' then
  local function is_meant(id) return id == edited end
  -- Still waiting: it is read in its new form, at its old place.
  for index, waiting in ipairs(redis.call('LRANGE', BOX, 0, -1)) do
    if is_message(waiting, is_meant) then
      redis.call('LSET', BOX, index - 1, entry)
      return 'accepted'
    end
  end
  -- Being answered: that answer is given up, and the edit comes next, however many wait.
  if is_message(open, is_meant) then
    interrupt('superseded')
    call_holder(conversation)
    redis.call('LPUSH', BOX, entry)
    count(space, 1)
    return 'accepted'
  end
end

local in_all = tonumber(redis.call('HGET', LOAD, '') or 0)
-- Nobody is to wait much longer than a minute: as many may wait as were answered in one, and a few in any case.
local most_in_all, fewest = most_of_all, math.max(50, most_of_all / 20)
if in_all >= fewest then
  local minute = math.floor(now_ms() / 60000)
  for ago = 0, 1 do fewest = math.max(fewest, tonumber(redis.call('GET', served_in(minute - ago)) or 0)) end
  most_in_all = math.min(most_of_all, fewest)
end
local busy = in_all >= most_in_all or (space ~= '' and tonumber(redis.call('HGET', LOAD, space) or 0) >= most_of_space)
if busy or redis.call('LLEN', BOX) >= most then
  -- One more of a flood costs no memory for long. Should it be delivered again later, it is only counted again.
  redis.call('EXPIRE', SEEN, 60)
  if in_all >= 4 * most_of_all then return 'refused' end
  -- One entry stands for all that are too many, so that one notice tells of them.
  if redis.call('HINCRBY', STATE, 'overflow', 1) == 1 then
    redis.call('RPUSH', BOX, '!' .. entry)
    count(space, 1)
    if busy then redis.call('HSET', STATE, 'busy', 1) end
  end
  ready(conversation, space, is_told)
  return 'full'
end
redis.call('RPUSH', BOX, entry)
count(space, 1)
ready(conversation, space, is_told)
return 'accepted'
