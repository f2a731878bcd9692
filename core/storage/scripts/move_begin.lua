-- From now on what is posted to a conversation goes to another one, and its open turn ends, to be begun anew there.
-- ARGV: conversation, the other's name, seconds to keep the state. Answers 'done' when all of it has moved already.
local conversation, to, seconds = ARGV[1], ARGV[2], ARGV[3]
if redis.call('HEXISTS', STATE, 'emptied') == 1 then return 'done' end
if redis.call('HSETNX', STATE, 'moved', to) == 1 then
  redis.call('EXPIRE', STATE, seconds)
  if redis.call('HEXISTS', TURN, 'entry') == 1 and redis.call('HEXISTS', TURN, 'interrupt') == 0 then
    interrupt('moved')
    call_holder(conversation)
  end
end
return 'open'
