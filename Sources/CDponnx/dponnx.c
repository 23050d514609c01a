// The functions are written in Swift, in CInterface; this target brings the header to both sides.
#include "dponnx.h"
