-- Put before every script. A conversation's scripts get its keys in this order:
local BOX, STATE, TURN, TREE, ORDER, READY, LOAD, WAKE, SEEN, FEEDBACK =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]

-- The server's clock: the hosts' clocks may differ or jump.
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- A write of a worker that has lost the lease is refused.
local function check_fence(fence)
  if redis.call('HGET', STATE, 'fence') ~= fence then
    return redis.error_reply('STALE the lease was taken over')
  end
end

-- So is a write for a turn that is closed: a late copy of one that was done long ago.
local function check_turn(fence, number)
  local stale = check_fence(fence)
  if stale then return stale end
  if redis.call('HGET', TURN, 'number') ~= number then
    return redis.error_reply('STALE the turn was closed')
  end
end

local function read_node(id)
  local raw = redis.call('HGET', TREE, id)
  if raw and string.sub(raw, 1, 1) == '=' then
    id = string.sub(raw, 2)
    raw = redis.call('HGET', TREE, id)
  end
  if not raw then return nil end
  local parent, before, tokens, kind, payload = string.match(raw, '^([^\t]*)\t(%d+)\t(%d+)\t(%a)\t(.*)$')
  return { id = id, parent = parent, before = tonumber(before), tokens = tonumber(tokens), kind = kind, payload = payload }
end

local function write_node(id, parent, before, tokens, kind, payload)
  redis.call('HSET', TREE, id, table.concat({ parent, before, tokens, kind, payload }, '\t'))
end

-- What was said beside the bot since the last question: 'id TAB tokens TAB payload' each.
local function heard_key()
  return (string.gsub(BOX, '}:box:', '}:heard:', 1))
end

-- Entries that wait: in all of the partition, and of a space.
local function count(space, step)
  for _, field in ipairs({ '', space }) do
    if redis.call('HINCRBY', LOAD, field, step) <= 0 then redis.call('HDEL', LOAD, field) end
    if space == '' then return end
  end
end

-- What an entry says; an empty table for one that cannot be read.
local function read_entry(entry)
  local known, value = pcall(cjson.decode, (string.gsub(entry or '', '^!', '')))
  return known and type(value) == 'table' and value or {}
end

local function space_of(entry)
  local space = read_entry(entry)['space']
  return type(space) == 'string' and space or ''
end

-- Whether a message is meant, or one of those that it was joined with.
local function is_of(value, is_meant)
  for _, id in ipairs(value['also'] or {}) do
    if is_meant(id) then return true end
  end
  return is_meant(value['id'])
end

-- Whether it is that message, waiting or being answered, and stands for itself alone.
local function is_message(entry, is_meant)
  if not entry or string.sub(entry, 1, 1) == '!' then return false end
  local value = read_entry(entry)
  return value['type'] == 'message' and is_of(value, is_meant)
end

-- The pieces of an album come one by one and are one message. A hash collects them: '#id' -> entry; first, the id of the
-- piece that stands in the mailbox for all; at: 'box' (waiting), 'full' (one too many) or the number of the last turn that
-- answered it; ripe (ms), when no more is to be expected; again, when one came after an answer had begun.
local ALBUM_MS, HELD_SECONDS, ANSWERED_SECONDS = 700, 30, 3600

local function album_key(album)
  return (string.gsub(BOX, '}:box:', '}:album:', 1)) .. ':' .. album
end

-- The hash of the album that a waiting entry is the first piece of.
local function album_of(entry)
  -- Most entries belong to none, and need not be decoded for that.
  if string.sub(entry, 1, 1) == '!' or not string.find(entry, '"album":"', 1, true) then return nil end
  local value = read_entry(entry)
  return value['album'] and not value['also'] and album_key(value['album']) or nil
end

-- How long an album still waits for more of it.
local function wait_of(key)
  local wait = tonumber(redis.call('HGET', key, 'ripe') or 0) - now_ms()
  -- More can only be after the server's clock was set back.
  return wait <= ALBUM_MS and wait or 0
end

-- Puts an album into the mailbox by its first piece, or lets it wait there for more.
local function await_album(key)
  redis.call('HSET', key, 'at', 'box', 'ripe', now_ms() + ALBUM_MS)
  redis.call('PERSIST', key)
end

-- What the pieces of an album say, each thing once: all of them may tell where they were forwarded from, some more.
local function texts_of(pieces)
  local texts = {}
  for i, piece in ipairs(pieces) do
    local text, is_new = piece['text'] or '', true
    for j, other in ipairs(pieces) do
      local said = other['text'] or ''
      if (said == text and j < i) or string.sub(said, 1, #text + 1) == text .. '\n' then is_new = false end
    end
    if is_new and text ~= '' then table.insert(texts, text) end
  end
  return table.concat(texts, '\n\n')
end

-- One entry of all the pieces, in the order of their ids, for the turn of that number.
local function join_album(key, entry, number)
  local pieces, fields = {}, redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local piece = string.sub(fields[i], 1, 1) == '#' and read_entry(fields[i + 1]) or {}
    if piece['id'] then table.insert(pieces, piece) end
  end
  if #pieces == 0 then return entry end
  table.sort(pieces, function(a, b) return (tonumber(a['id']) or 0) < (tonumber(b['id']) or 0) end)
  local joined = read_entry(entry)
  local files, also = {}, {}
  for _, piece in ipairs(pieces) do
    for _, file in ipairs(piece['attachments'] or {}) do table.insert(files, file) end
    if piece['id'] ~= joined['id'] then table.insert(also, piece['id']) end
    joined['quote'] = joined['quote'] or piece['quote']
  end
  joined['text'] = texts_of(pieces)
  -- An empty list would be read as an empty object.
  joined['attachments'] = #files > 0 and files or nil
  joined['also'] = #also > 0 and also or nil
  joined['edited'] = joined['edited'] or redis.call('HDEL', key, 'again') == 1 or nil
  redis.call('HSET', key, 'at', number)
  redis.call('EXPIRE', key, ANSWERED_SECONDS)
  return cjson.encode(joined)
end

-- Tells some worker that the conversation has work. What no worker hears soon is found by sweeps.
local function wake(conversation)
  redis.call('RPUSH', WAKE, conversation .. '\t' .. (redis.call('HGET', STATE, 'space') or ''))
  redis.call('EXPIRE', WAKE, 60)
end

-- Puts the conversation among those with work. Whoever holds it goes on to its next turn by itself.
local function ready(conversation, space, is_told)
  if redis.call('ZADD', READY, 'NX', now_ms(), conversation) == 0 then return end
  if space ~= '' then redis.call('HSET', STATE, 'space', space) end
  if not is_told then wake(conversation) end
end

-- Tells the worker that holds the conversation to look at it. Its list is gone soon if it is dead.
local function call_holder(conversation)
  local holder = redis.call('HGET', STATE, 'holder')
  if not holder then return end
  local calls = string.match(READY, '^(.*:)ready$') .. 'calls:' .. holder
  redis.call('RPUSH', calls, conversation)
  redis.call('EXPIRE', calls, 60)
end

-- Asks the open turn to end. One that is to leave no trace stays that.
local function interrupt(reason)
  if redis.call('HGET', TURN, 'interrupt') ~= 'forgotten' then redis.call('HSET', TURN, 'interrupt', reason) end
end

-- Whether the open turn makes, or makes anew, the answer that a message shows.
local function is_being_made(id)
  local node = read_node(id)
  local question = redis.call('HGET', TURN, 'question')
  if node and question and (node.id == question or node.parent == question) then return true end
  local record = redis.call('HGETALL', TURN)
  for i = 1, #record, 2 do
    if record[i + 1] == id and string.match(record[i], '^m%d+$') then return true end
  end
  return false
end

-- What people chose for the conversation, in the order of core/conversation/preferences.py.
local function preferences()
  return redis.call('HMGET', STATE, 'model', 'language', 'buttons', 'spoken', 'answers', 'threads', 'persona', 'sampling')
end

-- How many turns of the partition were opened in a minute.
local function served_in(minute)
  return (string.gsub(READY, 'ready$', 'served:' .. minute))
end

-- Puts what the open turn answers back to the front of what waits.
local function put_back()
  local open = redis.call('HMGET', TURN, 'entry', 'overflow', 'busy')
  redis.call('LPUSH', BOX, open[1])
  count(space_of(open[1]), 1)
  if open[2] then redis.call('HSET', STATE, 'overflow', open[2], 'busy', open[3] or '0') end
end

-- For how many ms a conversation still answers nothing, because its past is on its way to it; nil where it has moved
-- to another itself.
local MOST_HELD_MS = 60000
local function held_for()
  local known = redis.call('HMGET', STATE, 'moved', 'arriving')
  if known[1] then return nil end
  local wait = known[2] and tonumber(known[2]) - now_ms() or 0
  -- More can only be after the server's clock was set back.
  return wait <= MOST_HELD_MS and wait or 0
end

-- Nothing waits any more. Who is answered to the end before the migration to version 2 comes to it, which looks at those
-- with work, loses here what version 1 left.
local function idle(conversation)
  redis.call('ZREM', READY, conversation)
  redis.call('HDEL', STATE, 'holder', 'lease')
  return { 'idle' }
end

-- Opens the turn of the next waiting entry, or leaves the conversation free: nothing waits, or an album does for some ms.
local function open_next(conversation, worker, lease_ms)
  local held = held_for()
  if not held then
    return idle(conversation)
  elseif held > 0 and redis.call('EXISTS', BOX) == 1 then
    redis.call('ZADD', READY, now_ms() + held, conversation)
    redis.call('HDEL', STATE, 'holder')
    return { 'wait', held }
  end
  local entry = redis.call('LPOP', BOX)
  if not entry then
    return idle(conversation)
  end
  local album = album_of(entry)
  local wait = album and wait_of(album) or 0
  if wait > 0 then
    redis.call('LPUSH', BOX, entry)
    redis.call('ZADD', READY, now_ms() + wait, conversation)
    redis.call('HDEL', STATE, 'holder')
    return { 'wait', wait }
  end
  count(space_of(entry), -1)
  local served = served_in(math.floor(now_ms() / 60000))
  redis.call('INCR', served)
  redis.call('EXPIRE', served, 120)
  local number = redis.call('HINCRBY', STATE, 'turns', 1)
  if album then entry = join_album(album, entry, number) end
  redis.call('HSET', TURN, 'number', number, 'entry', entry, 'takeovers', 0)
  redis.call('HSET', STATE, 'holder', worker)
  redis.call('ZADD', READY, now_ms() + lease_ms, conversation)
  if string.sub(entry, 1, 1) == '!' then
    redis.call('HSET', TURN, 'overflow', redis.call('HGET', STATE, 'overflow') or '1',
               'busy', redis.call('HGET', STATE, 'busy') or '0')
    redis.call('HDEL', STATE, 'overflow', 'busy')
  end
  -- A call to stop that found nothing to stop is over with its own turn.
  local stopping = redis.call('HGET', STATE, 'stopping')
  if stopping and read_entry(entry)['id'] == stopping then redis.call('HDEL', STATE, 'stopping') end
  return { 'turn', redis.call('HGET', STATE, 'fence'), preferences(), redis.call('HGETALL', TURN) }
end

-- Dead letters of the partition: a zset of 'id TAB conversation TAB subject' by time, and a hash for each id.
local function failed()
  return (string.gsub(READY, 'ready$', 'failed'))
end

-- The member of the letter with that id.
local function find_failed(id)
  for _, member in ipairs(redis.call('ZRANGE', failed(), 0, -1)) do
    if string.match(member, '^%w+') == id then return member end
  end
end

local function drop_failed(member)
  redis.call('ZREM', failed(), member)
  redis.call('DEL', failed() .. ':' .. string.match(member, '^%w+'))
end

-- Keeps what failed for good, once for each subject, at most 200 of a partition. Answers the letter's id.
local function keep_failed(subject, conversation, entry, kind, causes, seconds, version)
  local index, time, tail = failed(), redis.call('TIME'), '\t' .. conversation .. '\t' .. subject
  local kept = redis.call('ZRANGE', index, 0, -1)
  for _, member in ipairs(kept) do
    if string.sub(member, -#tail) == tail then return string.match(member, '^%w+') end
  end
  for i = 1, #kept - 199 do drop_failed(kept[i]) end
  -- Short and easily said: the partition's digit and a number.
  local id = string.match(READY, '(%x)}') .. redis.call('INCR', index .. ':count')
  local letter, now = index .. ':' .. id, string.format('%d%06d', time[1], time[2])
  redis.call('HSET', letter, 'kind', kind, 'conversation', conversation, 'entry', entry, 'causes', causes, 'at', now,
             'v', version)
  redis.call('EXPIRE', letter, seconds)
  redis.call('ZADD', index, now, id .. tail)
  redis.call('EXPIRE', index, seconds)
  -- For longer than any letter: a number that was said means one letter only.
  redis.call('EXPIRE', index .. ':count', 8640000)
  return id
end

-- Removes the letters of forgotten messages, and quotes of these from others. Answers how many were removed.
local function forget_failed(conversation, wanted)
  local known = 0
  for _, member in ipairs(redis.call('ZRANGE', failed(), 0, -1)) do
    local id, place = string.match(member, '^(%w+)\t([^\t]*)\t')
    if place == conversation then
      local letter = failed() .. ':' .. id
      local value = read_entry(redis.call('HGET', letter, 'entry'))
      if not value['type'] or is_of(value, function(known_id) return wanted[known_id] end) then
        -- Nobody can tell what a damaged one holds.
        drop_failed(member)
        known = known + 1
      elseif type(value['quote']) == 'table' and wanted[value['quote']['message_id']] then
        value['quote'] = nil
        redis.call('HSET', letter, 'entry', cjson.encode(value))
      end
    end
  end
  return known
end
