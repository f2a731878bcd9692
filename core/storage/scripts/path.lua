-- Puts the question into the tree and reads its context, newest first, in one round trip.
-- ARGV: fence, mode, id, id replied to or '', tokens, payload, window in tokens, seconds to keep, most messages,
--       turn number, 1 where what was said beside the bot is read, ids of further messages that the question stands for
-- mode: ask (a question), edit (one in its new form, which may say nothing new), again (the answer to the message replied to, or the newest one, is made anew),
--       more (a question that needs an answer before it)
local fence, mode, id, reply_to = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local tokens, payload = tonumber(ARGV[5]), ARGV[6]
local window, seconds, most = tonumber(ARGV[7]), ARGV[8], tonumber(ARGV[9])
local stale = check_turn(fence, ARGV[10])
if stale then return stale end
if redis.call('HGET', TURN, 'interrupt') == 'forgotten' then return { 'forgotten' } end

local newest = redis.call('HGET', STATE, 'newest')
local question, named
if mode == 'again' then
  local found = read_node(reply_to ~= '' and reply_to or (newest or ''))
  if found and found.kind == 'a' then
    named = found
    found = read_node(found.parent)
  end
  if not found or found.kind ~= 'q' then return { 'unknown' } end
  question = found
else
  question = read_node(id)
  if question then
    -- The same question again: taken over, or edited. It keeps its place.
    local answer = mode == 'edit' and question.payload == payload and redis.call('HGET', TURN, 'question') ~= question.id
      and redis.call('HGET', TREE, '@' .. question.id)
    answer = answer and read_node(answer)
    if answer and answer.kind == 'a' and not string.find(answer.payload, '"ending":"superseded"', 1, true) then
      return { 'unchanged' }
    end
    question.tokens, question.payload, question.kind = tokens, payload, 'q'
  else
    local former = newest and read_node(newest)
    if mode ~= 'more' then
      -- What was said beside the bot since the last question stands before this one.
      local last = former
      local heard = ARGV[11] == '1' and redis.call('LRANGE', heard_key(), 0, -1) or {}
      for _, entry in ipairs(heard) do
        local heard_id, heard_tokens, heard_payload = string.match(entry, '^([^\t]*)\t(%d+)\t(.*)$')
        -- One that became a question by an edit is no word beside itself.
        if heard_id and heard_id ~= id and redis.call('HEXISTS', TREE, heard_id) == 0 then
          local before = last and last.before + last.tokens or 0
          write_node(heard_id, last and last.id or '', before, heard_tokens, 'q', heard_payload)
          redis.call('ZADD', ORDER, 'NX', now_ms(), heard_id)
          last = read_node(heard_id)
          newest = heard_id
        end
      end
      redis.call('DEL', heard_key())
    end
    local replied = reply_to ~= '' and read_node(reply_to)
    -- Who replies to what was said last goes on from there, with what was heard since.
    if replied and former and replied.id == former.id then replied = nil end
    local parent = replied or (newest and read_node(newest)) or nil
    if mode == 'more' and not (parent and parent.kind == 'a') then return { 'unknown' } end
    question = { id = id, parent = parent and parent.id or '', before = parent and parent.before + parent.tokens or 0,
                 tokens = tokens, kind = 'q', payload = payload }
  end
  write_node(question.id, question.parent, question.before, tokens, 'q', payload)
  redis.call('ZADD', ORDER, 'NX', now_ms(), question.id)
  for i = 12, #ARGV do
    if redis.call('HSETNX', TREE, ARGV[i], '=' .. question.id) == 1 then redis.call('ZADD', ORDER, 'NX', now_ms(), ARGV[i]) end
  end
  local over = redis.call('ZCARD', ORDER) - most
  if over > 0 then
    for _, old in ipairs(redis.call('ZRANGE', ORDER, 0, over - 1)) do
      redis.call('HDEL', TREE, old, '@' .. old, '~' .. old)
      redis.call('ZREM', ORDER, old)
    end
  end
end
redis.call('HSET', STATE, 'newest', question.id)
local stopping = redis.call('HGET', STATE, 'stopping')
if stopping then
  redis.call('HDEL', STATE, 'stopping')
  redis.call('HSET', STATE, 'stopped', stopping)
  interrupt('stopped')
  call_holder(string.match(BOX, '}:box:(.*)$'))
end
redis.call('HSET', TURN, 'question', question.id)
redis.call('EXPIRE', TREE, seconds)
redis.call('EXPIRE', ORDER, seconds)
redis.call('EXPIRE', STATE, seconds)

-- What does not fit is cut in steps of a quarter of the window, so that the beginning stays the same for many turns.
local total = question.before + question.tokens
local cut = 0
if total > window then
  local step = math.max(1, math.floor(window / 4))
  cut = math.ceil((total - window) / step) * step
end
-- A question may have several answers: the one that is meant, else the newest.
local previous = ''
local answered = redis.call('HGET', TREE, '@' .. question.id)
local answer = named or answered and read_node(answered)
if answer and answer.kind == 'a' then previous = answer.payload end
local nodes, current, first = {}, question, ''
for _ = 1, 1000 do
  if current.kind ~= 'x' then
    table.insert(nodes, { current.kind, current.id, current.parent, current.payload })
    first = current.id
  end
  if current.parent == '' then break end
  local parent = read_node(current.parent)
  if not parent or parent.before < cut then break end
  current = parent
end
local summary = ''
if current.parent ~= '' then summary = redis.call('HGET', TREE, '~' .. first) or '' else first = '' end
return { 'path', question.id, previous, first, summary, nodes }
