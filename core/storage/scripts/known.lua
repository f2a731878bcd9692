-- What is known of an answer, for the buttons under it. ARGV: id of the message or '' for the newest, name of the call that a button makes.
-- Answers: 'open' (being made now), 'kept' or 'unknown'; 1 when such a call for it is under way already; ids of those who
-- asked, by tabs; the answer's payload or ''; what people chose for the conversation.
local id, name = ARGV[1], ARGV[2]
if id == '' then id = redis.call('HGET', STATE, 'newest') or '' end
local node = read_node(id)
local question = node and (node.kind == 'a' and read_node(node.parent) or node)
if question and question.kind ~= 'q' then question = nil end
local answered = question and redis.call('HGET', TREE, '@' .. question.id)
local answer = node and node.kind == 'a' and node or answered and read_node(answered)
local open = redis.call('HGET', TURN, 'entry')

local askers, state, under_way = {}, question and 'kept' or 'unknown', 0
if question then table.insert(askers, cjson.decode(question.payload)['asker'] or '') end
if open and is_being_made(id) then
  state = 'open'
  local author = read_entry(open)['author']
  table.insert(askers, type(author) == 'table' and author['id'] or '')
end
local calls = redis.call('LRANGE', BOX, 0, -1)
if open then table.insert(calls, open) end
for _, entry in ipairs(calls) do
  local value = read_entry(entry)
  if value['type'] == 'call' and value['name'] == name and value['reply_to'] == id then under_way = 1 end
end
local kept = answer and answer.kind == 'a' and answer.payload or ''
return { state, under_way, table.concat(askers, '\t'), kept, preferences() }
