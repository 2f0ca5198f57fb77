"""The provider of WhatIsUp."""
