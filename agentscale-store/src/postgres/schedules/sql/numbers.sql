SELECT nextval('@.schedule_numbers'), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
