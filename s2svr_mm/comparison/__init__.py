# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
