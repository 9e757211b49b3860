"""`python -m headway.service`: started by the supervisor."""

from headway.service.main import main

if __name__ == "__main__":
    main()
