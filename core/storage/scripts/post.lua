-- Accepts one incoming value. ARGV: conversation, entry, seconds to remember the update, most waiting, id of the message
-- edited or '', space or '', most waiting of a space and in all (of this partition), 1 when the caller wakes a worker
-- itself, for a call that acts at once its id or '', the album it is a piece of or '', and whose question alone such a
-- call may end, or '' for anybody's.
-- Answers 'accepted', 'seen', 'full', 'refused', 'held': a piece of an album that nobody has turned to the bot with, or
-- 'moved NAME': it is to be posted to that conversation.
local conversation, entry, seconds, most, edited = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local space, most_of_space, most_of_all = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local is_told, urgent, album = ARGV[9] == '1', ARGV[10], ARGV[11] ~= '' and album_key(ARGV[11])
local moved = redis.call('HGET', STATE, 'moved')
if moved then return redis.call('EXISTS', SEEN) == 1 and 'seen' or 'moved ' .. moved end
if not redis.call('SET', SEEN, '1', 'NX', 'EX', seconds) then return 'seen' end
if edited ~= '' then
  -- Where the update of an edit begins with its message's, a history may bring the message itself once more.
  local _, last = string.find(SEEN, ':seen:' .. conversation .. ':' .. edited .. ':', 1, true)
  if last then redis.call('SET', string.sub(SEEN, 1, last - 1), '1', 'NX', 'EX', seconds) end
end

local open = redis.call('HGET', TURN, 'entry')
local function may_end(asked)
  local author = read_entry(asked)['author']
  return ARGV[12] == '' or type(author) ~= 'table' or author['id'] == ARGV[12]
end
local next_up = urgent ~= '' and not open and redis.call('LINDEX', BOX, 0)
if urgent ~= '' and open and string.sub(open, 1, 1) ~= '!' and read_entry(open)['id'] ~= urgent then
  if may_end(open) then
    interrupt('stopped')
    redis.call('HSET', STATE, 'stopped', urgent)
    call_holder(conversation)
  else
    redis.call('HSET', STATE, 'spared', urgent)
  end
elseif next_up then
  -- No worker has come to it yet: the next answer is meant, and stopped as soon as it begins (path.lua).
  redis.call('HSET', STATE, may_end(next_up) and 'stopping' or 'spared', urgent)
end

-- Platforms tell of edits that people cannot see; what is being answered is not begun anew for these.
local function is_same(one, other)
  local a, b = read_entry(one), read_entry(other)
  return a['text'] == b['text'] and #(a['attachments'] or {}) == #(b['attachments'] or {})
end

if album then
  local piece, at = read_entry(entry), redis.call('HGET', album, 'at')
  if at == 'full' then
    redis.call('EXPIRE', SEEN, 60)
    return 'full'
  end
  local before = redis.call('HGET', album, '#' .. piece['id'])
  redis.call('HSET', album, '#' .. piece['id'], entry)
  if before and is_same(before, entry) then
    return at and 'accepted' or 'held'
  elseif at == 'box' then
    await_album(album)
    ready(conversation, space, is_told)
    return 'accepted'
  elseif at then
    -- It was answered without this piece: it is answered anew, in the same messages.
    local is_open = redis.call('HGET', TURN, 'number') == at
    local why = is_open and redis.call('HGET', TURN, 'interrupt')
    if why and why ~= 'superseded' then return 'accepted' end
    if is_open then
      interrupt('superseded')
      call_holder(conversation)
    end
    redis.call(is_open and 'LPUSH' or 'RPUSH', BOX, redis.call('HGET', album, '#' .. redis.call('HGET', album, 'first')))
    count(space, 1)
    redis.call('HSET', album, 'again', 1)
    await_album(album)
    ready(conversation, space, is_told)
    return 'accepted'
  elseif piece['addressed'] == false then
    redis.call('EXPIRE', album, HELD_SECONDS)
    return 'held'
  end
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
    if is_same(open, entry) then return 'accepted' end
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
  if album then
    redis.call('DEL', album)
    redis.call('HSET', album, 'at', 'full')
    redis.call('EXPIRE', album, 60)
  end
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
if album then
  redis.call('HSET', album, 'first', read_entry(entry)['id'])
  await_album(album)
end
ready(conversation, space, is_told)
return 'accepted'
