-- Removes messages from the tree, the mailbox and the open turn for good; a question takes its answer along, an answer
-- its question. ARGV: conversation, message ids. Answers how many of them were known, and the digests of their pictures.
local known, pictures = 0, {}
local conversation = table.remove(ARGV, 1)
local function blank(node)
  if node.kind == 'q' then
    local question = cjson.decode(node.payload)
    for _, digest in ipairs(question['images'] or {}) do table.insert(pictures, digest) end
    for _, reading in ipairs(question['readings'] or {}) do table.insert(pictures, reading) end
    if question['album'] then redis.call('DEL', album_key(question['album'])) end
  end
  redis.call('HDEL', TREE, '~' .. node.id, '@' .. node.id)
  write_node(node.id, node.parent, node.before, node.tokens, 'x', '')
end
local wanted = {}
local made = string.gsub(ORDER, '}:order:', '}:made:', 1)
local making = string.gsub(ORDER, '}:order:', '}:making:', 1)
local creation = string.gsub(ORDER, '}:order:', '}:creation:', 1) .. ':'
for _, id in ipairs(ARGV) do
  wanted[id] = true
  -- What was ordered with the message that it shows.
  redis.call('HDEL', made, id)
  local node = read_node(id)
  if node and node.kind ~= 'x' then
    known = known + 1
    local question = node.kind == 'a' and read_node(node.parent) or node
    local answered = question and redis.call('HGET', TREE, '@' .. question.id)
    local answer = answered and read_node(answered)
    if answer then blank(answer) end
    if question then blank(question) end
    if node.kind == 'a' then blank(node) end
  end
end
-- What is being made for it: whoever makes it finds that it is gone, and ends.
for _, number in ipairs(redis.call('ZRANGE', making, 0, -1)) do
  local key = creation .. number
  local found = redis.call('HMGET', key, 'question', 'shown', 'inputs', 'preview')
  if wanted[found[1] or ''] or wanted[found[2] or ''] then
    for index = 0, tonumber(found[3] or 0) - 1 do redis.call('UNLINK', key .. ':in' .. index) end
    redis.call('UNLINK', key, key .. ':' .. (found[4] or ''))
    redis.call('ZREM', making, number)
  end
end
-- What else holds a piece of it: a question that quotes it, an answer that was shown before the one of now.
local function tidy(node)
  if node.kind == 'q' and string.find(node.payload, '"quote":', 1, true) then
    local question = cjson.decode(node.payload)
    local quoted = question['quote'] and read_node(question['quote']['message_id'])
    if quoted and quoted.kind == 'x' then
      question['quote'] = nil
      write_node(node.id, node.parent, node.before, node.tokens, 'q', cjson.encode(question))
    end
  elseif node.kind == 'a' then
    local question = read_node(node.parent)
    if question and question.kind == 'x' then blank(node) end
  end
end
if known > 0 then
  redis.call('HINCRBY', STATE, 'forgettings', 1)
  for _, field in ipairs(redis.call('HKEYS', TREE)) do
    local mark = string.sub(field, 1, 1)
    if mark == '~' then
      -- Summaries may have been made of what is to be forgotten.
      redis.call('HDEL', TREE, field)
    elseif mark ~= '@' then
      local node = read_node(field)
      if node then tidy(node) end
    end
  end
end
local function is_meant(id) return wanted[id] end
for _, waiting in ipairs(redis.call('LRANGE', BOX, 0, -1)) do
  local album = album_of(waiting)
  local is_wanted = is_message(waiting, is_meant)
  for _, id in ipairs(ARGV) do is_wanted = is_wanted or (album and redis.call('HEXISTS', album, '#' .. id) == 1) end
  if is_wanted then
    redis.call('LREM', BOX, 1, waiting)
    count(space_of(waiting), -1)
    if album then redis.call('DEL', album) end
    known = known + 1
  end
end
for _, entry in ipairs(redis.call('LRANGE', heard_key(), 0, -1)) do
  local id, rest = string.match(entry, '^([^\t]*)\t(.*)$')
  local payload = string.match(rest or '', '^%d+\t(.*)$')
  local quote = payload and string.find(payload, '"quote":', 1, true) and cjson.decode(payload)['quote']
  if wanted[id] then
    redis.call('LREM', heard_key(), 1, entry)
    known = known + 1
  elseif quote and wanted[quote['message_id']] then
    redis.call('LREM', heard_key(), 1, entry)
  end
end
local open = redis.call('HGET', TURN, 'entry')
if is_message(open, is_meant) then
  local album = read_entry(open)['album']
  if album then redis.call('DEL', album_key(album)) end
  redis.call('HSET', TURN, 'interrupt', 'forgotten')
  call_holder(conversation)
  known = known + 1
end
known = known + forget_failed(conversation, wanted)
return { known, unpack(pictures) }
