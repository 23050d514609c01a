// The library's face: `import DPONNX` brings everything that a package needs to train an exported model privately.
@_exported public import Execution
@_exported public import Kernels
@_exported public import ONNXFormat
@_exported public import Operators
@_exported public import PrivacyAccounting
@_exported public import PrivateGradients
@_exported public import TensorGraph
@_exported public import Training
@_exported public import WeightConversion
