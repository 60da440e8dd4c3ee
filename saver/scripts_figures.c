// Figures, and the sweep over what is due.
#include "redis_scripts.h"

const char saver_lua_sums[] =
    "if call('ZSCORE', base .. 'sid', ARGV[2]) then return 0 end\n"
    "grow()\n"
    "call('ZADD', base .. 'sid', F(now), ARGV[2])\n"
    "if call('ZCARD', base .. 'sid') > 10000 then call('ZREMRANGEBYRANK', base .. 'sid', 0, 0) "
    "end\n"
    "if ARGV[3] ~= '0' then count('rejected', ARGV[3]) end\n"
    "for i = 4, #ARGV, 3 do\n"
    " count('sent' .. ARGV[i], ARGV[i + 1])\n"
    " count('acked' .. ARGV[i], ARGV[i + 2])\n"
    "end\n"
    "return 1\n";

const char saver_lua_sweep[] = "no_growth()\n"
                               "local done = purge(tonumber(ARGV[2]))\n"
                               "finish()\n"
                               "return done\n";
