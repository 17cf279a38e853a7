-- Which scorecard judges a call: by queue and direction too. Scorecards can be retired, and evaluations pass or fail.

alter table calls
    add column queue text check (length(queue) between 1 and 200),
    add column direction text check (direction in ('inbound', 'outbound'));

-- No call is judged by it since; null while it is in use.
alter table scorecards add column retired_at timestamptz;

-- Against the scorecard's pass mark; null before scoring, and without a mark.
alter table evaluations add column passed boolean;

-- What was answered but is never scored, and what nobody has answered yet.
alter table scores drop constraint scores_verdict_check;
alter table scores add constraint scores_verdict_check
    check (verdict in ('yes', 'no', 'not_applicable', 'unverified', 'answered', 'pending'));
