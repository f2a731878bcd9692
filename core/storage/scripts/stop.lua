-- Stops the answer that a message shows, if it is being made. ARGV: conversation, id of the message. Answers 1 if it was.
if not is_being_made(ARGV[2]) then return 0 end
interrupt('stopped')
call_holder(ARGV[1])
return 1
